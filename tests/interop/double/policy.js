// SPDX-License-Identifier: BSD-3-Clause
// An ingress policy as the original's gateway reads it: the first rule that is about a client decides, then the defaults, and a
// rule that does not say lets nobody in.
'use strict'
const net = require('net')

function isOf (pattern, ip) {
  const [address, bits] = pattern.split('/')
  if (bits === undefined) return address === '*' || address === ip
  const network = new net.BlockList()
  network.addSubnet(address, Number(bits), net.isIPv6(address) ? 'ipv6' : 'ipv4')
  return network.check(ip, net.isIPv6(ip) ? 'ipv6' : 'ipv4')
}

function isAbout (rule, gatePort, protocol) {
  const has = ([from, to]) => gatePort >= from && gatePort <= to
  return !(rule.expireAt <= Date.now()) && (!rule.onlyPorts || has(rule.onlyPorts)) && !(rule.excludePorts && has(rule.excludePorts)) &&
    (!rule.onlyProtocols || rule.onlyProtocols.includes(protocol)) && !(rule.excludeProtocols || []).includes(protocol)
}

// @protocol: 'tcp' or 'udp'.
function letsIn ({ ips = {}, defaults }, ip, gatePort, protocol) {
  const found = Object.entries(ips).find(([pattern, rule]) => isOf(pattern, ip) && isAbout(rule, gatePort, protocol))
  const rule = found ? found[1] : defaults
  return !rule || Boolean(rule.allow)
}

module.exports = { letsIn }
