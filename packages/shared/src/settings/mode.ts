/** What of TCP and UDP is carried; the words are those of shadowsocks-libev's files. */
export const MODES = ['tcp_only', 'tcp_and_udp', 'udp_only'] as const;

export type Mode = (typeof MODES)[number];

export const DEFAULT_MODE: Mode = 'tcp_only';

export const carriesTcp = (mode: Mode): boolean => mode !== 'udp_only';
export const carriesUdp = (mode: Mode): boolean => mode !== 'tcp_only';
