// SPDX-License-Identifier: BSD-3-Clause
// TCP clients and services that know what they sent and what they got.
'use strict'
const crypto = require('crypto')
const net = require('net')

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex')

// Repeatable bytes that do not compress to a pattern: what comes out shifted, cut or doubled has another digest.
function bytesOf (seed, length) {
  const cipher = crypto.createCipheriv('aes-128-ctr', sha256(String(seed)).slice(0, 16), Buffer.alloc(16))
  return cipher.update(Buffer.alloc(length))
}

// A service on 127.0.0.1. @serve(socket) gets each connection; sockets stay half-open until it ends them.
async function service (serve) {
  const sockets = new Set()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: server.address().port,
    connections: () => sockets.size,
    close: () => new Promise((resolve) => { server.close(resolve); for (const s of sockets) s.destroy() })
  }
}

const serveEcho = (socket) => socket.pipe(socket)

// Reads to the end, then answers with the digest of what came: needs a real half-close on the way.
function serveDigest (socket) {
  const hash = crypto.createHash('sha256')
  socket.on('data', (chunk) => hash.update(chunk))
  socket.on('end', () => socket.end(hash.digest('hex')))
}

// Answers with @bytes and closes at once.
const serveBytes = (bytes) => (socket) => { socket.resume(); socket.end(bytes) }

// Connects, sends @bytes, ends (unless @halfClose is false), reads to the end.
// Resolves to { bytes, error }: error is the code of what broke the connection, null for a clean end.
function talk (port, bytes, { halfClose = true, expect = Infinity, host = '127.0.0.1' } = {}) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host, allowHalfOpen: true })
    const chunks = []
    let got = 0
    let error = null
    socket.on('connect', () => { if (halfClose) socket.end(bytes); else socket.write(bytes) })
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      got += chunk.length
      if (got >= expect) socket.end()
    })
    socket.on('end', () => { if (!halfClose) socket.end() })
    socket.on('error', (e) => { error = e.code })
    socket.on('close', () => resolve({ bytes: Buffer.concat(chunks), error }))
  })
}

// A client that connects and reads nothing; returns what ends it.
function linger (port, host = '127.0.0.1') {
  const socket = net.connect({ port, host })
  socket.on('error', () => {})
  socket.pause()
  return async () => socket.destroy()
}

// Whether something listens there.
function listens (port, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host })
    socket.on('connect', () => { socket.destroy(); resolve(true) })
    socket.on('error', () => resolve(false))
  })
}

async function freePort () {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

module.exports = { sha256, bytesOf, service, serveEcho, serveDigest, serveBytes, talk, linger, listens, freePort }
