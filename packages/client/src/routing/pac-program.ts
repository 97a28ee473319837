/*
 * What a browser runs: what Router decides, said once more in the words that every engine of PAC files knows (ECMAScript 3; the one
 * of WinHTTP is JScript). Of the functions that PAC defines it uses none: isInNet and dnsResolve ask DNS, and the browser
 * waits for that. The tests hold both against each other.
 *
 * `ROUTES` (see PacRoutes) and `PROXY` stand before it.
 */
export const PAC_PROGRAM = String.raw`
function FindProxyForURL(url, host) {
  host = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return goesDirectly(host, portOf(url)) ? 'DIRECT' : PROXY;
}

function goesDirectly(host, port) {
  var address = readAddress(host);
  var name = address ? null : readName(host);
  var absolute = /\.$/.test(host);
  var rule = ruleFor(name, address, port);
  var completed = null;
  if (name !== null && !absolute && ROUTES.suffix && name.indexOf('.') < 0 && name !== 'localhost') {
    completed = readName(name + ROUTES.suffix);
  }
  if (!rule && completed !== null) rule = ruleFor(completed, null, port);
  if (rule) return rule.direct;
  if (ROUTES.otherwise === 'cluster') return completed === null && !isOfCluster(name, address, absolute);
  // A server that is under development here is not in the cluster.
  if (ROUTES.otherwise === 'tunnel') return address ? isIn(LOOPBACK, address) : name !== null && isLocalhost(name);
  return ROUTES.otherwise === 'direct';
}

function ruleFor(name, address, port) {
  for (var i = 0; i < ROUTES.rules.length; i++) {
    if (applies(ROUTES.rules[i], EXPRESSIONS[i], name, address, port)) return ROUTES.rules[i];
  }
  return null;
}

function applies(rule, expressions, name, address, port) {
  if (rule.ports && !hasPort(rule.ports, port)) return false;
  if (!rule.to) return true;
  if (address) return isIn(rule.to, address);
  if (name === null) return false;
  if (rule.to.names['.' + name] || isBelow(rule.to.ends, name)) return true;
  for (var i = 0; i < expressions.length; i++) if (expressions[i].test(name)) return true;
  return false;
}

function hasPort(ports, port) {
  for (var i = 0; i < ports.length; i += 2) if (port >= ports[i] && port <= ports[i + 1]) return true;
  return false;
}

function isBelow(ends, name) {
  for (var dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (ends[name.slice(dot)]) return true;
  }
  return false;
}

function isOfCluster(name, address, absolute) {
  var cluster = ROUTES.cluster;
  if (address) return !isIn(LOCAL, address) && isInCluster(address);
  if (name === null || isLocalhost(name)) return false;
  if (cluster.names['.' + name] || isBelow(cluster.ends, name)) return true;
  var namespace = absolute ? null : /^[^.]+(\.[^.]+)$/.exec(name);
  if (namespace && cluster.namespaces[namespace[1]]) return true;
  var asked = addressOfReverseName(name);
  return asked !== null && isInCluster(asked);
}

function isInCluster(address) {
  return narrowest(ROUTES.cluster.attached, address) < narrowest(ROUTES.cluster.networks, address);
}

function isLocalhost(name) {
  return name === 'localhost' || /\.localhost$/.test(name);
}

function isIn(networks, address) {
  return narrowest(networks, address) >= 0;
}

/* Networks are numbers in a row: of IPv4 one word and the prefix, of IPv6 four and the prefix. */
function narrowest(networks, address) {
  var four = address[0] === 4;
  var list = four ? networks.ipv4 : networks.ipv6;
  var words = four ? 1 : 4;
  var best = -1;
  for (var i = 0; i < list.length; i += words + 1) {
    var prefix = list[i + words];
    var fits = prefix > best;
    for (var k = 0; fits && k < words; k++) {
      fits = ((list[i + k] ^ address[k + 1]) & mask(prefix - 32 * k)) === 0;
    }
    if (fits) best = prefix;
  }
  return best;
}

function mask(bits) {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

function portOf(url) {
  var parts = /^([a-z][a-z0-9+.\-]*):\/\/([^\/?#]*)/i.exec(url);
  if (!parts) return 0;
  var port = /:(\d{1,5})$/.exec(parts[2]);
  if (port) return Number(port[1]);
  var scheme = parts[1].toLowerCase();
  return scheme === 'http' || scheme === 'ws' ? 80 : scheme === 'https' || scheme === 'wss' ? 443 : scheme === 'ftp' ? 21 : 0;
}

/* A name of DNS without the trailing dot, or null. */
function readName(host) {
  var bare = host.replace(/\.$/, '');
  // The bound of labels apart: some engines take for ever for one within a repetition.
  if (bare.length > 253 || /[^.]{64}/.test(bare) || !/^[a-z0-9_\-]+(\.[a-z0-9_\-]+)*$/.test(bare)) return null;
  return /(^|\.)(\d+|0x[\da-f]*)$/.test(bare) ? null : bare;
}

/* The family, and its words of 32 bits; or null. An IPv4-mapped address is IPv4. */
function readAddress(host) {
  var quad = readQuad(host);
  if (quad !== null) return [4, quad];
  if (host.indexOf(':') < 0) return null;
  var text = host.replace(/%[\da-z.:\-]+$/, '');
  var dotted = /^(.*:)([\d.]+)$/.exec(text);
  if (dotted && dotted[2].indexOf('.') >= 0) {
    quad = readQuad(dotted[2]);
    if (quad === null) return null;
    text = dotted[1] + (quad >>> 16).toString(16) + ':' + (quad & 65535).toString(16);
  }
  var halves = text.split('::');
  var left = groupsOf(halves[0]);
  var right = halves.length > 1 ? groupsOf(halves[1]) : [];
  if (!left || !right || halves.length > 2) return null;
  if (halves.length > 1 ? left.length + right.length > 7 : left.length !== 8) return null;
  while (left.length + right.length < 8) left.push(0);
  var groups = left.concat(right);
  var words = [6];
  for (var i = 0; i < 8; i += 2) words.push((groups[i] << 16) | groups[i + 1]);
  return words[1] === 0 && words[2] === 0 && words[3] === 65535 ? [4, words[4]] : words;
}

function readQuad(host) {
  var parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
  if (!parts || /(^|\.)0\d/.test(host)) return null;
  for (var i = 1; i <= 4; i++) if (Number(parts[i]) > 255) return null;
  return (parts[1] << 24) | (parts[2] << 16) | (parts[3] << 8) | parts[4];
}

function groupsOf(text) {
  var groups = text === '' ? [] : text.split(':');
  for (var i = 0; i < groups.length; i++) {
    if (!/^[\da-f]{1,4}$/.test(groups[i])) return null;
    groups[i] = parseInt(groups[i], 16);
  }
  return groups;
}

function addressOfReverseName(name) {
  var four = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (four) return readAddress(four[4] + '.' + four[3] + '.' + four[2] + '.' + four[1]);
  var six = /^([\da-f]\.){32}ip6\.arpa$/.test(name) ? name.slice(0, 64).split('.') : null;
  if (!six) return null;
  var text = '';
  for (var i = 31; i >= 0; i--) text += six[i] + (i % 4 === 0 && i > 0 ? ':' : '');
  return readAddress(text);
}

/* An engine may not know an expression that another one takes; then it means no name. */
function expressionsOf(rule) {
  var sources = rule.to ? rule.to.expressions : [];
  var expressions = [];
  for (var i = 0; i < sources.length; i++) {
    try {
      expressions.push(new RegExp(sources[i], 'i'));
    } catch (error) {}
  }
  return expressions;
}

var LOOPBACK = { ipv4: [2130706432, 8], ipv6: [0, 0, 0, 1, 128] };
var LOCAL = { ipv4: [2130706432, 8, -1442971648, 16], ipv6: [0, 0, 0, 1, 128, -25165824, 0, 0, 0, 10] };
var EXPRESSIONS = [];
for (var each = 0; each < ROUTES.rules.length; each++) EXPRESSIONS.push(expressionsOf(ROUTES.rules[each]));
`;
