// SPDX-License-Identifier: BSD-3-Clause
// A gateway that behaves like the original: one table of routes, one listener a gate, opens repeated with the same id.
// @halfOpen: true mends its worst habit (a client's FIN ends both directions), to see what the wire then carries.
'use strict'
const crypto = require('crypto')
const net = require('net')
const Hyperswarm = require('hyperswarm')
const { OPEN, STREAM, CLOSE, ADVERT, END, TCP, UDP, PEER_MAX_BYTES, router, Link, Channel, openBody } = require('./protocol')
const datagrams = require('./datagrams')
const { letsIn } = require('./policy')

const OPEN_TIMEOUT_MS = 15000
const FIND_TIMEOUT_MS = 60000
const ROUTE_EXPIRATION_MS = 120000

class Gateway {
  // @keyPair: who it is.
  constructor ({ secret, bootstrap, dht, keyPair, clockMs, halfOpen = false, refreshMs = 5000, relayThrough }) {
    Object.assign(this, { halfOpen, nextId: 0, killed: 0 })
    this.router = router(secret)
    this.links = new Set()
    this.table = []                 // { gatePort, serviceHost, protocol, tags, cursor, routes: [{ key, expires, policy }] }
    this.adverts = []
    this.gates = new Map()          // gate port -> server
    this.channels = new Map()
    this.answers = new Map()        // id -> function: the answer to its open
    this.swarm = new Hyperswarm({ bootstrap, dht, keyPair, relayThrough: relayThrough && Buffer.from(relayThrough, 'hex') })
    this.swarm.on('connection', (stream, peer) => this.links.add(new Link(stream, this.router, true, {
      clockMs,
      maxBytes: PEER_MAX_BYTES,
      ban: () => peer.ban(true),
      onup: (link) => this.peer(link.remoteKey.toString('hex')) === link,
      onframe: (link, message) => this.handle(link, message),
      onclose: (link) => this.lost(link)
    })))
    this.discovery = this.swarm.join(this.router.topic)
    this.timer = setInterval(() => this.discovery.refresh().catch(() => {}), refreshMs)
  }

  ups () { return [...this.links].filter((link) => link.up) }

  peer (key) { return this.ups().find((link) => link.remoteKey.toString('hex') === key) }

  // Its routes stay until they expire.
  lost (link) {
    this.links.delete(link)
    for (const channel of this.channels.values()) if (channel.link === link) channel.socket.end()
  }

  async handle (link, { action, channel: id, error, body }) {
    const channel = this.channels.get(id)
    switch (action) {
      case ADVERT: return this.advert(link, JSON.parse(body.toString()))
      case OPEN: { const answer = this.answers.get(id); return answer && answer(link, error) }
      case STREAM: return channel && channel.link === link && channel.deliver(body)
      case END: return channel && channel.link === link && channel.socket.end()
      case CLOSE: return channel && channel.link === link && this.finish(channel)
    }
  }

  finish (channel) {
    this.channels.delete(channel.id)
    channel.socket.end()
  }

  advert (link, { routes }) {
    this.adverts.push(routes)
    const key = link.remoteKey.toString('hex')
    for (const { gatePort, serviceHost, protocol, tags, ingressPolicy } of routes || []) {
      let entry = this.table.find((e) => e.gatePort === gatePort && e.serviceHost === serviceHost && e.protocol === protocol && e.tags === tags)
      if (!entry) this.table.push(entry = { gatePort, serviceHost, protocol, tags, cursor: 0, routes: [] })
      let route = entry.routes.find((r) => r.key === key)
      if (!route) entry.routes.push(route = { key })
      route.expires = Date.now() + ROUTE_EXPIRATION_MS
      route.policy = ingressPolicy || route.policy || {}
      if (!this.gates.has(gatePort)) this.openGate(gatePort, protocol)
    }
  }

  // Round robin in the first entry with a route; a provider that is gone is chosen all the same.
  choose (gatePort) {
    const entry = this.table.find((e) => e.gatePort === gatePort && e.routes.length)
    if (!entry) return null
    while (entry.routes.length) {
      if (entry.cursor >= entry.routes.length) entry.cursor = 0
      const route = entry.routes[entry.cursor++]
      if (route.expires > Date.now()) return route
      entry.routes.splice(--entry.cursor, 1)
    }
    return null
  }

  openGate (gatePort, protocol) {
    if (protocol === UDP) return this.gates.set(gatePort, datagrams.openGate(this, gatePort))
    const server = net.createServer({ allowHalfOpen: this.halfOpen }, (socket) => this.serve(gatePort, socket))
    this.gates.set(gatePort, server)
    server.listen(gatePort, '127.0.0.1')
  }

  async serve (gatePort, socket) {
    const id = ++this.nextId
    const held = []
    let ended = false
    socket.on('error', () => {})
    socket.on('data', (bytes) => held.push(bytes))
    socket.on('end', () => { ended = true })
    const link = await this.findRoute(gatePort, id, socket)
    if (!link) return socket.end()
    socket.pause()                  // or what arrives before pipeOut() flows to nobody
    socket.removeAllListeners('data')
    const channel = new Channel(link, id, socket, () => this.kill(id))
    this.channels.set(id, channel)
    socket.on('close', (hadError) => { if (this.channels.delete(id) && (hadError || this.halfOpen)) link.send(CLOSE, id) })
    for (const bytes of held) await link.sendData(id, bytes)
    if (ended) return this.halfOpen && link.send(END, id)       // the original forgets it
    socket.on('end', () => link.send(END, id))
    channel.pipeOut()
  }

  kill (id) {
    const channel = this.channels.get(id)
    this.killed++
    if (this.channels.delete(id)) channel.link.send(CLOSE, id)
  }

  async findRoute (gatePort, id, socket, protocol = TCP) {
    const end = Date.now() + FIND_TIMEOUT_MS
    while (Date.now() < end) {
      const route = this.choose(gatePort)
      if (!route || !letsIn(route.policy, socket.remoteAddress, gatePort, protocol === UDP ? 'udp' : 'tcp')) return null
      const link = this.peer(route.key)
      if (link && await this.ask(link, gatePort, id, socket, protocol)) return link
      await new Promise((resolve) => setTimeout(resolve, 100 + crypto.randomInt(500)))
    }
    return null
  }

  ask (link, gatePort, id, socket, protocol) {
    const source = { ip: socket.remoteAddress, ipRaw: socket.remoteAddress, port: socket.remotePort }
    const gateway = { ip: socket.localAddress, ipRaw: socket.localAddress, port: socket.localPort }
    const fingerprint = {
      id: crypto.randomBytes(16).toString('hex'), openedAt: Date.now(), protocol: protocol === UDP ? 'udp' : 'tcp',
      gatePort, channelPort: id, source, gateway
    }
    return new Promise((resolve) => {
      const answered = (value) => { clearTimeout(timer); this.answers.delete(id); resolve(value) }
      const timer = setTimeout(() => answered(false), OPEN_TIMEOUT_MS)
      this.answers.set(id, (from, error) => { if (from === link) answered(!error) })
      link.send(OPEN, id, openBody(gatePort, protocol, fingerprint))
    })
  }

  async close () {
    clearInterval(this.timer)
    for (const server of this.gates.values()) server.close()
    for (const { socket } of this.channels.values()) socket.destroy()
    await this.swarm.destroy()
  }
}

module.exports = Gateway
