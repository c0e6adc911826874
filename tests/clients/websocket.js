// SPDX-License-Identifier: BSD-3-Clause
// The library ws: node websocket.js serve PORT, an echo; node websocket.js ask PORT prints what came of asking it, as JSON.
'use strict'
const crypto = require('crypto')
const { once } = require('events')
const { WebSocket, WebSocketServer } = require('ws')

function serve (port) {
  const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: true, maxPayload: 1 << 26 })
  server.on('connection', (socket) => socket.on('message', (data, isBinary) => {
    if (!isBinary && data.toString() === 'leave') return socket.close(4001, 'as you like')
    socket.send(data, { binary: isBinary })
  }))
}

async function ask (port) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: true, maxPayload: 1 << 26 })
  await once(socket, 'open')
  const found = { words: 0, large: 0, pongs: 0 }
  for (let i = 0; i < 200; i++) {
    socket.send('word ' + i)
    const [data, isBinary] = await once(socket, 'message')
    if (!isBinary && data.toString() === 'word ' + i) found.words++
  }
  for (const bytes of [1, 65535, 65536, 5 << 20]) {
    const sent = crypto.randomBytes(bytes)
    socket.send(sent)
    const [data, isBinary] = await once(socket, 'message')
    if (isBinary && sent.equals(data)) found.large++
  }
  for (const payload of ['', 'a ping']) {
    socket.ping(payload)
    const [data] = await once(socket, 'pong')
    if (data.toString() === payload) found.pongs++
  }
  socket.send('leave')
  const [code, reason] = await once(socket, 'close')
  console.log(JSON.stringify({ ...found, code, reason: reason.toString() }))
}

const [what, port] = process.argv.slice(2)
if (what === 'serve') serve(Number(port))
else ask(Number(port))
