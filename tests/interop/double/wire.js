// SPDX-License-Identifier: BSD-3-Clause
// One connection to one of ours, frame by frame: sends what it is told, right or wrong, and keeps what comes back.
'use strict'
const DHT = require('hyperdht')
const { eventually } = require('../tap')
const { HELLO, OPEN, STREAM, CLOSE, ADVERT, END, TCP, authBlob, frame, openBody } = require('./protocol')

const EXTENSION = 0x40

class Wire {
  constructor (stream, router) {
    Object.assign(this, { stream, router, closed: false, frames: [], pending: Buffer.alloc(0), bytes: 0 })
    stream.on('data', (chunk) => this.take(chunk))
    stream.on('error', () => {})
    stream.on('close', () => { this.closed = true })
  }

  take (chunk) {
    this.bytes += chunk.length
    this.pending = Buffer.concat([this.pending, chunk])
    while (this.pending.length >= 4 && this.pending.length >= 4 + this.pending.readUInt32BE(0)) {
      const payload = this.pending.subarray(4, 4 + this.pending.readUInt32BE(0))
      const text = payload.subarray(6, 6 + payload[1])
      this.pending = this.pending.subarray(4 + payload.length)
      this.frames.push({ action: payload[0], channel: payload.readUInt32BE(2), text,
        body: payload.subarray(6 + payload[1]), length: payload.length })
    }
  }

  raw (bytes) { this.stream.write(bytes) }
  send (action, channel, body, error) { this.raw(frame(action, channel, body, error)) }

  // @lead: how far our clock is ahead, in milliseconds; @blob: another's hello.
  hello (isGateway, { lead = 0, blob, tail = Buffer.alloc(0) } = {}) {
    const auth = blob || authBlob(this.router, this.stream.publicKey, this.stream.remotePublicKey, Date.now() + lead)
    this.send(HELLO, isGateway ? 1 : 0, Buffer.concat([auth, tail]))
    return auth
  }

  open (id, gatePort, fingerprint = {}) { this.send(OPEN, id, openBody(gatePort, TCP, fingerprint)) }
  advertise (body) { this.send(ADVERT, 0, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))) }

  // The first frame that is wanted, from now or before; it is taken off the list.
  async next (action, channel, seconds = 10) {
    const wanted = (f) => f.action === action && (channel === undefined || f.channel === channel)
    await eventually(() => this.closed || this.frames.some(wanted), seconds, `action ${action} for channel ${channel}`)
    const index = this.frames.findIndex(wanted)
    if (index < 0) throw new Error('closed before action ' + action)
    return this.frames.splice(index, 1)[0]
  }

  // All data of @channel up to its end; how it ended is checked by the caller.
  async received (channel, length, seconds = 10) {
    const data = () => Buffer.concat(this.frames.filter((f) => f.action === STREAM && f.channel === channel).map((f) => f.body))
    await eventually(() => this.closed || data().length >= length, seconds, `${length} bytes on channel ${channel}`)
    const all = data()
    this.frames = this.frames.filter((f) => f.action !== STREAM || f.channel !== channel)
    return all
  }

  async gone (seconds = 5) { await eventually(() => this.closed, seconds, 'the connection ends') }
  close () { this.stream.destroy() }
}

// A connection as @keyPair, new by default; resolves when it is open.
async function dial (node, key, router, keyPair = DHT.keyPair()) {
  const wire = new Wire(node.connect(key, { keyPair }), router)
  await wire.stream.opened
  return wire
}

// Whom the DHT lists under the router, as soon as it lists somebody.
async function listed (node, topic) {
  return eventually(async () => {
    for await (const { peers } of node.lookup(topic)) if (peers.length) return peers[0].publicKey
    return null
  }, 20, 'a record of the topic')
}

module.exports = { Wire, dial, listed, EXTENSION, HELLO, OPEN, STREAM, CLOSE, ADVERT, END }
