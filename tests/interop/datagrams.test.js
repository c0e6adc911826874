// SPDX-License-Identifier: BSD-3-Clause
// UDP services with gateways and providers of the original's kind: datagrams whole both ways, clients kept apart.
'use strict'
const dgram = require('dgram')
const { assert, test, eventually } = require('./tap')
const { sha256, bytesOf, freePort } = require('./net-tools')
const { sharedTestnet } = require('./testnet')
const { newSecret, startInstance } = require('./hypergate')
const { UDP } = require('./double/protocol')
const Gateway = require('./double/gateway')
const Provider = require('./double/provider')

const LARGEST = 65507
const CHUNK = 61440             // what originals put into one frame
const CLIENTS = 10

const dht = sharedTestnet()

// An echo; .sizes is what came. Who asks for the largest datagram gets that one.
async function echoService (after) {
  const socket = dgram.createSocket('udp4')
  const echo = { sizes: [], clients: new Set() }
  socket.on('message', (bytes, { address, port }) => {
    echo.sizes.push(bytes.length)
    echo.clients.add(address + ':' + port)
    socket.send(String(bytes) === 'the largest, please' ? bytesOf('largest', LARGEST) : bytes, port, address)
  })
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve))
  after(() => new Promise((resolve) => socket.close(resolve)))
  echo.port = socket.address().port
  return echo
}

async function newClient (after, port) {
  const socket = dgram.createSocket('udp4')
  await new Promise((resolve) => socket.connect(port, '127.0.0.1', resolve))
  let waiting = null
  socket.on('error', () => {})
  socket.on('message', (bytes) => { if (waiting) waiting(bytes) })
  after(() => new Promise((resolve) => socket.close(resolve)))
  // Resolves to what comes back, or null: a datagram may be lost.
  return (bytes, limitMs = 1000) => new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), limitMs)
    waiting = (back) => { clearTimeout(timer); waiting = null; resolve(back) }
    socket.send(bytes)
  })
}

async function comesBack (ask, bytes) {
  let back = null
  await eventually(async () => (back = await ask(bytes)), 20, `${bytes.length} bytes come back`)
  assert.strictEqual(back.length, bytes.length)
  assert.strictEqual(sha256(back), sha256(bytes))
}

// Each client asks and is answered a few times, all at once.
async function clientsAreKeptApart (after, port, echo) {
  const before = echo.clients.size
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => newClient(after, port)))
  await Promise.all(clients.map((ask, n) => comesBack(ask, bytesOf('client ' + n, 100))))
  for (let round = 0; round < 5; round++) await Promise.all(clients.map((ask, n) => comesBack(ask, bytesOf(`client ${n} ${round}`, 500))))
  assert.strictEqual(echo.clients.size - before, CLIENTS)
}

test('weakness 14.29: our gateway, a UDP service of their provider', 60, async ({ after }) => {
  const secret = newSecret()
  const { text, bootstrap } = await dht()
  const echo = await echoService(after)
  const gatePort = await freePort()
  const provider = new Provider({ secret, bootstrap, advertiseMs: 300, services: [{ gatePort, servicePort: echo.port, protocol: UDP }] })
  after(() => provider.close())
  const gateway = startInstance({ bootstrap: [text], gateway: { listen: '127.0.0.1' } }, secret)
  after(() => gateway.stop())
  const ask = await newClient(after, gatePort)
  await comesBack(ask, Buffer.from('hello'))
  for (const size of [1, 1200, 9000, CHUNK]) await comesBack(ask, bytesOf(size, size))
  echo.sizes.length = 0
  await ask(bytesOf('largest', LARGEST))
  assert.deepStrictEqual(echo.sizes, [LARGEST])         // ours arrives whole; theirs comes back in two
  assert.strictEqual(provider.opens[0].protocol, 'udp')
  assert.strictEqual(provider.opens[0].source.ip, '127.0.0.1')
  await clientsAreKeptApart(after, gatePort, echo)
})

test('our provider, a UDP gate of their gateway', 60, async ({ after }) => {
  const secret = newSecret()
  const { text, bootstrap } = await dht()
  const echo = await echoService(after)
  const gatePort = await freePort()
  const services = [{ gatePort, serviceHost: '127.0.0.1', servicePort: echo.port, protocol: 'udp' }]
  const ours = startInstance({ bootstrap: [text], provider: { services } }, secret)
  after(() => ours.stop())
  const gateway = new Gateway({ secret, bootstrap })
  after(() => gateway.close())
  await eventually(() => gateway.gates.has(gatePort), 20, 'their gateway opens the gate')
  const ask = await newClient(after, gatePort)
  await comesBack(ask, Buffer.from('hello'))
  for (const size of [1, 1200, 9000, CHUNK]) await comesBack(ask, bytesOf(size, size))
  await clientsAreKeptApart(after, gatePort, echo)
  let largest = null
  await eventually(async () => (largest = await ask(Buffer.from('the largest, please'))), 20, 'the largest comes')
  assert.strictEqual(sha256(largest), sha256(bytesOf('largest', LARGEST)))      // ours sends it whole
  echo.sizes.length = 0
  await ask(bytesOf('largest', LARGEST))
  await eventually(() => echo.sizes.length === 2, 10, 'theirs arrives in two')
  assert.deepStrictEqual(echo.sizes, [CHUNK, LARGEST - CHUNK])
})
