// SPDX-License-Identifier: BSD-3-Clause
// A provider that behaves like the original: serial opens, answers in order, errors on channel 0, an end at once, channels
// that are killed when their service reads too slowly.
'use strict'
const net = require('net')
const Hyperswarm = require('hyperswarm')
const { OPEN, STREAM, CLOSE, ADVERT, END, TCP, UDP, PEER_MAX_BYTES, router, Link, Channel, openBody, readOpen } = require('./protocol')
const { openService } = require('./datagrams')

class Provider {
  // @services: [{ gatePort, servicePort, serviceHost, protocol (TCP), tags, stallMs, ports, ingressPolicy }], a connect that stalls takes
  // that long more; so many @ports from gatePort on.
  // @dht: optional node to run on. @keyPair: who it is. @quiet: it looks for nobody. @relayThrough: key of a blind relay, in hex.
  // @clockMs: how far the clock is ahead.
  // @pieceBytes: see Link. @advert: a text in place of the list of these.
  constructor ({ secret, services, bootstrap, dht, keyPair, quiet, clockMs, advertiseMs = 5000, pieceBytes, relayThrough, advert }) {
    this.services = services
    this.advert = advert
    this.router = router(secret)
    this.links = new Set()
    this.opens = []                 // fingerprints seen
    this.killed = 0                 // channels that waited for too much
    this.swarm = new Hyperswarm({ bootstrap, dht, keyPair, relayThrough: relayThrough && Buffer.from(relayThrough, 'hex') })
    this.swarm.on('connection', (stream, peer) => this.links.add(new Link(stream, this.router, false, {
      clockMs,
      maxBytes: PEER_MAX_BYTES,
      pieceBytes,
      ban: () => peer.ban(true),
      onup: (link) => { link.channels = new Map(); return !this.ups().some((up) => up !== link && up.remoteKey.equals(link.remoteKey)) },
      onframe: (link, message) => this.handle(link, message),
      onclose: (link) => { this.links.delete(link); this.closeAll(link) }
    })))
    this.discovery = this.swarm.join(this.router.topic, { client: !quiet })
    this.timer = setInterval(() => this.refresh(), advertiseMs)
    this.refreshed = this.discovery.flushed().then(() => this.refresh())
  }

  ups () { return [...this.links].filter((link) => link.up) }

  async refresh () {
    this.advertise()
    await this.discovery.refresh()
  }

  advertise () {
    const routes = this.services.flatMap((s) => Array.from({ length: s.ports || 1 }, (_, i) => ({
      serviceHost: s.serviceHost || '127.0.0.1', servicePort: s.servicePort, protocol: s.protocol || TCP,
      gatePort: s.gatePort + i, tags: s.tags, routes: [], ingressPolicy: s.ingressPolicy || {}
    })))
    for (const link of this.ups()) link.send(ADVERT, 0, Buffer.from(this.advert || JSON.stringify({ routes })))
  }

  closeAll (link) {
    for (const channel of (link.channels || new Map()).values()) channel.socket.destroy()
  }

  async handle (link, { action, channel: id, body }) {
    const channel = link.channels.get(id)
    switch (action) {
      case OPEN: return this.open(link, id, readOpen(body))
      case STREAM: return channel && channel.deliver(body)
      case END: return channel && channel.socket.end()
      case CLOSE:
        if (id === 0) this.closeAll(link)
        if (channel) { link.channels.delete(id); channel.socket.end() }
    }
  }

  async open (link, id, { gatePort, protocol, fingerprint }) {
    const service = this.services.find((s) => s.gatePort === gatePort && protocol === (s.protocol || TCP))
    this.opens.push(fingerprint)
    if (!service) return link.send(OPEN, 0, undefined, 'Service not found ' + gatePort)
    if (service.stallMs) await new Promise((resolve) => setTimeout(resolve, service.stallMs))
    if (protocol === UDP) {
      link.channels.set(id, await openService(link, id, service))
      return link.send(OPEN, id, openBody(gatePort, protocol))
    }
    const socket = net.connect({ port: service.servicePort, host: service.serviceHost || '127.0.0.1', allowHalfOpen: true })
    const failure = await new Promise((resolve) => { socket.once('connect', () => resolve(null)); socket.once('error', resolve) })
    if (failure) return link.send(OPEN, 0, undefined, String(failure))
    const channel = new Channel(link, id, socket, () => { this.killed++ })
    link.channels.set(id, channel)
    socket.on('error', () => {})
    socket.on('end', () => link.send(END, id))
    socket.on('close', () => { if (link.channels.delete(id)) link.send(CLOSE, id) })
    link.send(OPEN, id, openBody(gatePort, protocol))
    channel.pipeOut()
  }

  async close () {
    clearInterval(this.timer)
    await this.swarm.destroy()
  }
}

module.exports = Provider
