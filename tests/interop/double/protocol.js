// SPDX-License-Identifier: BSD-3-Clause
// The Hypergate protocol as the original speaks it, over a Hyperswarm connection: frames, hello, and its write queue in
// which everything but data jumps ahead.
'use strict'
const sodium = require('sodium-universal')
const DHT = require('hyperdht')

const HELLO = 0; const OPEN = 1; const STREAM = 2; const CLOSE = 3; const ADVERT = 4; const END = 5
const TCP = 0; const UDP = 1
const CHUNK_BYTES = 60 * 1024
const FRAME_MAX_BYTES = 10 * 1024 * 1024
const STALE_MS = 15 * 60 * 1000
const CHANNEL_MAX_BYTES = 8 * 1024 * 1024
const PEER_MAX_BYTES = 32 * 1024 * 1024

// What both roles derive from the router secret (64 hex characters), once. An impostor who knows the topic but not the
// secret is { topic, authKey } made by hand.
function router (secret) {
  if (typeof secret !== 'string') return secret
  const { publicKey, secretKey } = DHT.keyPair(Buffer.from(secret, 'hex'))
  const salt = Buffer.alloc(16)
  const authKey = Buffer.alloc(64)
  sodium.crypto_generichash(salt, secretKey)
  sodium.crypto_pwhash(authKey, secretKey, salt, 2, 67108864, sodium.crypto_pwhash_ALG_ARGON2ID13)
  return { topic: publicKey, authKey }
}

function authBlob (router, from, to, timestamp) {
  const time = Buffer.alloc(9)
  time[0] = 0x15
  time.writeBigInt64BE(BigInt(timestamp), 1)
  const mac = Buffer.alloc(64)
  sodium.crypto_generichash(mac, Buffer.concat([from, to, router.topic, time]), router.authKey)
  return Buffer.concat([time, mac])
}

// Stale is what is 15 minutes old; the future is not looked at.
function authorised (router, from, to, blob, now = Date.now()) {
  if (blob.length !== 73) return false
  const timestamp = Number(blob.readBigInt64BE(1))
  return now - timestamp <= STALE_MS && authBlob(router, from, to, timestamp).equals(blob)
}

function frame (action, channel, body = Buffer.alloc(0), error = '') {
  const text = Buffer.from(error && JSON.stringify(error))
  const bytes = Buffer.alloc(10 + text.length + body.length)
  bytes.writeUInt32BE(6 + text.length + body.length, 0)
  bytes[4] = action
  bytes[5] = text.length
  bytes.writeUInt32BE(channel, 6)
  text.copy(bytes, 10)
  body.copy(bytes, 10 + text.length)
  return bytes
}

// Resolves at the first of these events.
function either (emitter, ...events) {
  return new Promise((resolve) => {
    const done = () => { for (const event of events) emitter.off(event, done); resolve() }
    for (const event of events) emitter.on(event, done)
  })
}

// One connection to one peer. onframe({action, channel, error, body}) is awaited frame by frame, as the original does.
// @onup: false for a key that is registered already, which the original logs and ignores. @ban: for life. @clockMs: how
// far this process's clock is ahead. @maxBytes: more waiting to be sent destroy the connection. @pieceBytes: a frame is written in
// pieces, where the original writes it at once.
class Link {
  constructor (stream, router, isGateway, { onframe, onup, onclose, ban = () => {}, clockMs = 0, maxBytes = Infinity, pieceBytes }) {
    this.pieceBytes = pieceBytes || Infinity
    Object.assign(this, { stream, router, isGateway, onframe, onup, onclose, ban, clockMs, maxBytes, up: false, remoteIsGateway: null, queued: 0 })
    this.key = stream.publicKey
    this.remoteKey = stream.remotePublicKey
    this.pending = Buffer.alloc(0)
    this.control = []
    this.bulk = []
    this.writing = false
    this.reading = Promise.resolve()
    this.waiters = []
    stream.on('data', (chunk) => this.take(chunk))
    stream.on('error', () => {})
    stream.on('close', () => { this.up = false; this.release(); this.onclose(this) })
    this.send(HELLO, isGateway ? 1 : 0, authBlob(router, this.key, this.remoteKey, this.now()))
  }

  now () { return Date.now() + this.clockMs }

  take (chunk) {
    this.pending = this.pending.length ? Buffer.concat([this.pending, chunk]) : chunk
    while (this.pending.length >= 4) {
      const length = this.pending.readUInt32BE(0)
      if (length > FRAME_MAX_BYTES) return this.stream.destroy()
      if (this.pending.length < 4 + length) return
      const payload = this.pending.subarray(4, 4 + length)
      this.pending = this.pending.subarray(4 + length)
      if (length < 6) continue
      const errorLength = payload[1]
      const channel = payload.readUInt32BE(2)
      const error = errorLength ? JSON.parse(payload.subarray(6, 6 + errorLength).toString()) : null
      const body = Buffer.from(payload.subarray(6 + errorLength))
      this.reading = this.reading.then(() => this.handle({ action: payload[0], channel, error, body })).catch(() => {})
    }
  }

  async handle (message) {
    if (message.action !== HELLO) return this.up ? this.onframe(this, message) : undefined
    if (this.up) return
    this.remoteIsGateway = message.channel === 1
    const bad = (!this.isGateway && !this.remoteIsGateway) || !authorised(this.router, this.remoteKey, this.key, message.body, this.now())
    if (bad) {
      this.ban()
      return this.stream.destroy()
    }
    this.up = true
    if (this.onup(this) === false) this.up = false
  }

  // Control before bulk, one frame at a time, each waiting until the stream has drained.
  send (action, channel, body, error) {
    const queue = action === STREAM ? this.bulk : this.control
    const bytes = frame(action, channel, body, error)
    queue.push(bytes)
    this.queued += bytes.length
    if (this.queued > this.maxBytes) return this.stream.destroy()
    if (!this.writing) this.write()
  }

  async write () {
    this.writing = true
    while (!this.stream.destroyed && (this.control.length || this.bulk.length)) {
      const bytes = this.control.shift() || this.bulk.shift()
      this.queued -= bytes.length
      for (let at = 0; at < bytes.length && !this.stream.destroyed; at += this.pieceBytes) {
        if (!this.stream.write(bytes.subarray(at, at + this.pieceBytes))) await either(this.stream, 'drain', 'close')
      }
    }
    this.writing = false
    this.release()
  }

  release () { for (const resolve of this.waiters.splice(0)) resolve() }

  // Resolves when everything queued so far is written.
  drained () { return this.writing ? new Promise((resolve) => this.waiters.push(resolve)) : Promise.resolve() }

  sendData (channel, bytes) {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) this.send(STREAM, channel, bytes.subarray(at, at + CHUNK_BYTES))
    return this.drained()
  }
}

// Between a local TCP socket and a channel: reading pauses until the peer's stream took it; writes wait for drain, and
// too many of them kill the channel. An end does not wait for writes.
class Channel {
  constructor (link, id, socket, onkill = () => {}) {
    Object.assign(this, { link, id, socket, onkill, killed: false, writes: Promise.resolve(), waiting: 0 })
  }

  pipeOut () {
    this.socket.on('data', async (bytes) => {
      this.socket.pause()
      await this.link.sendData(this.id, bytes)
      this.socket.resume()
    })
    this.socket.resume()
  }

  deliver (bytes) {
    if (this.killed) return
    this.waiting += bytes.length
    if (this.waiting > CHANNEL_MAX_BYTES) {
      this.killed = true
      this.onkill()
      return this.socket.destroy()
    }
    this.writes = this.writes.then(() => new Promise((resolve) => {
      const done = () => { this.waiting -= bytes.length; resolve() }
      if (this.socket.destroyed || this.socket.writableEnded || this.socket.write(bytes)) return done()
      either(this.socket, 'drain', 'close').then(done)
    }))
  }
}

function openBody (gatePort, protocol, fingerprint) {
  const body = Buffer.alloc(5)
  body.writeUInt32BE(gatePort, 0)
  body[4] = protocol
  return fingerprint ? Buffer.concat([body, Buffer.from(JSON.stringify(fingerprint))]) : body
}

function readOpen (body) {
  return {
    gatePort: body.readUInt32BE(0),
    protocol: body[4] === UDP ? UDP : TCP,
    fingerprint: body.length > 5 ? JSON.parse(body.subarray(5).toString()) : {}
  }
}

module.exports = {
  HELLO, OPEN, STREAM, CLOSE, ADVERT, END, TCP, UDP, PEER_MAX_BYTES,
  router, authBlob, authorised, frame, either, Link, Channel, openBody, readOpen
}
