/*
 * Whole datagrams, sealed piece by piece in known-answers.test.ts and through the codecs in datagram-known-answers.test.ts. No
 * official vectors exist: these were worked out independently of this code, and other implementations agree.
 */

export const SIP004_PACKETS = {
  'aes-128-gcm': 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafac46d6cb6bce9fa6045c63e62d29b8161be585db7f9e57b0e9f20c7a160de5a007de',
  'aes-256-gcm':
    'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfa81046fca7c2d2e88cb92490f92af8875ef879913888e226aef9e765379cf33290b7',
  'chacha20-ietf-poly1305':
    'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf2d8bb58cfd7659d4496dfcd1e14192a114af98ce826ccfa8f9bf2719cd8df91c8fe3',
};

export const SIP022_PACKETS = {
  '2022-blake3-aes-128-gcm': {
    client:
      '12f250371f475aa71c3ab38e1308b5b8e33d719e15cf7e1746399d1d83807145a026233bfc9cccf925c70106bf1f7aa6920b99c49db6074e4c74',
    server:
      'ce8b012cf8173186af83e7dab1f0d99ac447a48189229d20e446498e795cb088e861fac99ffe606aeb41b1411252d3a9dc27dbf641a66cb6344c518456b0a7c49ac8',
  },
  '2022-blake3-aes-256-gcm': {
    client:
      '43af1bac10ead1bba3120598a2ea4edd06fab6b6129cc084c977125f89c6d5e32af6dc90cb1ea34dcb083f02efbc3540f64da752a6dcc52e1522',
    server:
      '09a24bf73f92dc1a22496481611e7ace803efb5f3cce77d0cef7e7a6c4482690512902706d0c4def9c925edbb9ffd9195f755d53ebcb309cf0dc35ac46371803f409',
  },
};

export const XCHACHA_PACKETS = {
  client:
    '000102030405060708090a0b0c0d0e0f10111213141516179fc00c7b95d48aa6334426cecb52a8ef4b4728a5fdb34e1a7f1a3cc65cc9f451560ebee474753d00bbe688ff5e067546c304148b8759965375c3',
  server:
    '000102030405060708090a0b0c0d0e0f10111213141516178fd01c6b85c49ab6334426cecb52a8e14a4728a5fdb34e1a7f1b3db539a8f35e5606b5942003086cdd9da659fa3367061fc97be7d3eb8d2d40a7e785d8bb028a8f95',
};
