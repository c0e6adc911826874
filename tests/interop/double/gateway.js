// SPDX-License-Identifier: BSD-3-Clause
// A gateway that behaves like the original: one table of routes, one listener a gate, opens repeated with the same id.
// @halfOpen: true mends its worst habit (a client's FIN ends both directions), to see what the wire then carries.
'use strict'
const crypto = require('crypto')
const net = require('net')
const Hyperswarm = require('hyperswarm')
const { OPEN, STREAM, CLOSE, ADVERT, END, TCP, router, Link, Channel, openBody } = require('./protocol')

const OPEN_TIMEOUT_MS = 15000
const FIND_TIMEOUT_MS = 60000

class Gateway {
  constructor ({ secret, bootstrap, dht, halfOpen = false, refreshMs = 5000 }) {
    Object.assign(this, { halfOpen, nextId: 0, cursor: 0 })
    this.router = router(secret)
    this.links = new Set()
    this.routes = new Map()         // gate port -> links that advertise it, newest advert kept in .adverts
    this.adverts = []
    this.gates = new Map()          // gate port -> server
    this.channels = new Map()
    this.answers = new Map()        // id -> function: the answer to its open
    this.swarm = new Hyperswarm({ bootstrap, dht })
    this.swarm.on('connection', (stream) => this.links.add(new Link(stream, this.router, true, {
      onup: () => {},
      onframe: (link, message) => this.handle(link, message),
      onclose: (link) => this.lost(link)
    })))
    this.discovery = this.swarm.join(this.router.topic)
    this.timer = setInterval(() => this.discovery.refresh().catch(() => {}), refreshMs)
  }

  ups () { return [...this.links].filter((link) => link.up) }

  lost (link) {
    this.links.delete(link)
    for (const links of this.routes.values()) links.delete(link)
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
    for (const { gatePort, protocol } of routes || []) {
      if (protocol !== TCP) continue
      if (!this.routes.has(gatePort)) this.routes.set(gatePort, new Set())
      this.routes.get(gatePort).add(link)
      if (!this.gates.has(gatePort)) this.openGate(gatePort)
    }
  }

  openGate (gatePort) {
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
    const channel = new Channel(link, id, socket)
    this.channels.set(id, channel)
    socket.on('close', (hadError) => { if (this.channels.delete(id) && (hadError || this.halfOpen)) link.send(CLOSE, id) })
    for (const bytes of held) await link.sendData(id, bytes)
    if (ended) return this.halfOpen && link.send(END, id)       // the original forgets it
    socket.on('end', () => link.send(END, id))
    channel.pipeOut()
  }

  async findRoute (gatePort, id, socket) {
    const end = Date.now() + FIND_TIMEOUT_MS
    while (Date.now() < end) {
      const links = [...(this.routes.get(gatePort) || [])].filter((link) => link.up)
      if (!links.length) return null
      const link = links[this.cursor++ % links.length]
      if (await this.ask(link, gatePort, id, socket)) return link
      await new Promise((resolve) => setTimeout(resolve, 100 + crypto.randomInt(500)))
    }
    return null
  }

  ask (link, gatePort, id, socket) {
    const source = { ip: socket.remoteAddress, ipRaw: socket.remoteAddress, port: socket.remotePort }
    const gateway = { ip: socket.localAddress, ipRaw: socket.localAddress, port: socket.localPort }
    const fingerprint = {
      id: crypto.randomBytes(16).toString('hex'), openedAt: Date.now(), protocol: 'tcp', gatePort, channelPort: id, source, gateway
    }
    return new Promise((resolve) => {
      const answered = (value) => { clearTimeout(timer); this.answers.delete(id); resolve(value) }
      const timer = setTimeout(() => answered(false), OPEN_TIMEOUT_MS)
      this.answers.set(id, (from, error) => { if (from === link) answered(!error) })
      link.send(OPEN, id, openBody(gatePort, TCP, fingerprint))
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
