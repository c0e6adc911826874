// SPDX-License-Identifier: BSD-3-Clause
// UDP as the original carries it: each datagram a frame of the stream, in two beyond 61440 bytes, and none for an empty one.
'use strict'
const dgram = require('dgram')
const { CLOSE, UDP } = require('./protocol')

// What Channel is to a TCP socket. @say(bytes) sends a datagram at this end; @over() is called once.
class DatagramChannel {
  constructor (link, id, say, over) {
    const end = () => { const once = over; over = () => {}; once() }
    Object.assign(this, { link, id, deliver: say, socket: { end, destroy: end } })
  }

  hear (bytes) { if (bytes.length) this.link.sendData(this.id, bytes) }
}

// Provider: a connected socket for each channel; resolves when it is.
async function openService (link, id, { servicePort, serviceHost = '127.0.0.1' }) {
  const socket = dgram.createSocket('udp4')
  await new Promise((resolve) => socket.connect(servicePort, serviceHost, resolve))
  const channel = new DatagramChannel(link, id, (bytes) => socket.send(bytes), () => socket.close())
  socket.on('error', () => {})
  socket.on('message', (bytes) => channel.hear(bytes))
  socket.on('close', () => { if (link.channels.delete(id)) link.send(CLOSE, id) })
  return channel
}

// Gateway: one socket, a channel for each client, whose first datagrams wait for its route.
function openGate (gateway, gatePort) {
  const socket = dgram.createSocket('udp4')
  const clients = new Map()
  socket.on('error', () => {})
  socket.on('message', async (bytes, { address, port }) => {
    const name = address + ':' + port
    const known = clients.get(name)
    if (known) return known.channel ? known.channel.hear(bytes) : known.held.push(bytes)
    const client = { held: [bytes], channel: null }
    clients.set(name, client)
    const id = ++gateway.nextId
    const ends = { remoteAddress: address, remotePort: port, localAddress: '127.0.0.1', localPort: gatePort }
    const link = await gateway.findRoute(gatePort, id, ends, UDP)
    if (!link) return clients.delete(name)
    client.channel = new DatagramChannel(link, id, (answer) => socket.send(answer, port, address), () => clients.delete(name))
    gateway.channels.set(id, client.channel)
    for (const datagram of client.held.splice(0)) client.channel.hear(datagram)
  })
  socket.bind(gatePort, '127.0.0.1')
  return socket
}

module.exports = { openService, openGate }
