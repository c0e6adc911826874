// SPDX-License-Identifier: BSD-3-Clause
// Connections over blind relays: theirs with our peers, ours with theirs, mixed ones over both.
'use strict'
const crypto = require('crypto')
const { createRequire } = require('module')
const DHT = require('hyperdht')
const inHyperdht = createRequire(require.resolve('hyperdht'))
const blindRelay = inHyperdht('blind-relay')
const { assert, test, eventually } = require('./tap')
const { sha256, bytesOf } = require('./net-tools')
const { stackpeer } = require('./stackpeer')
const { sharedTestnet, openNode, firewalledNode } = require('./testnet')
const { newSecret, start, startInstance } = require('./hypergate')

const dht = sharedTestnet()
const seed = () => crypto.randomBytes(32).toString('hex')
const BYTES = 300000

async function node (after, net, make) {
  const made = make(net.bootstrap)
  after(() => made.destroy())
  await made.fullyBootstrapped()
  return made
}

// The original's relay, as its documentation shows it.
async function theirRelay (after, net) {
  const dhtNode = await node(after, net, openNode)
  const relay = new blindRelay.Server({ createStream: (opts) => dhtNode.createRawStream({ ...opts, framed: true }) })
  const server = dhtNode.createServer((socket) => {
    socket.on('error', () => {})
    relay.accept(socket, { id: socket.remotePublicKey }).on('error', () => {})
  })
  after(() => server.close())
  const keyPair = DHT.keyPair()
  await server.listen(keyPair)
  return { key: keyPair.publicKey, hex: keyPair.publicKey.toString('hex'), port: dhtNode.address().port, ports: [dhtNode.io.serverSocket, dhtNode.io.clientSocket].map((socket) => socket.address().port), stats: relay.stats }
}

// A real process that relays; @begin starts it.
async function relayProcess (after, net, begin) {
  const ours = begin()
  after(() => ours.stop())
  const [, hex] = await eventually(() => /relays for .*, key ([0-9a-f]{64})/.exec(ours.log()), 15, 'the relay says its key')
  const key = Buffer.from(hex, 'hex')
  const asker = await node(after, net, openNode)
  await eventually(async () => { for await (const found of asker.findPeer(key)) return found }, 15, 'the relay is announced')
  return { ours, key, hex }
}

async function ourRelay (after, net) {
  const program = stackpeer(after, net, ['relay', seed()])
  const { key, ports } = await program.said('relaying')
  const asker = await node(after, net, openNode)
  await eventually(async () => { for await (const found of asker.findPeer(Buffer.from(key, 'hex'))) return found }, 15, 'the relay is announced')
  return { program, key: Buffer.from(key, 'hex'), hex: key, ports }
}

// A server of theirs that never punches and tells no address.
async function theirServer (after, net, opts = {}) {
  const theirs = await node(after, net, firewalledNode)
  const keyPair = DHT.keyPair()
  const ports = []
  const server = theirs.createServer({ holepunch: false, shareLocalAddress: false, ...opts }, (stream) => {
    ports.push(stream.rawStream.remotePort)
    stream.on('error', () => {})
    stream.pipe(stream)
  })
  after(() => server.close())
  await server.listen(keyPair)
  return { key: keyPair.publicKey, hex: keyPair.publicKey.toString('hex'), ports }
}

// Sends @bytes from a client of theirs, wants them back; resolves to the port it came from.
async function exchange (after, net, key, opts) {
  const theirs = await node(after, net, firewalledNode)
  const bytes = bytesOf('relayed', BYTES)
  return new Promise((resolve, reject) => {
    const stream = theirs.connect(key, { localConnection: false, holepunch: () => false, ...opts })
    const hash = crypto.createHash('sha256')
    let port
    stream.on('open', () => { port = stream.rawStream.remotePort; for (let at = 0; at < BYTES; at += 60000) stream.write(bytes.subarray(at, at + 60000)); stream.end() })
    stream.on('data', (chunk) => hash.update(chunk))
    stream.on('error', reject)
    stream.on('end', () => { try { assert.strictEqual(hash.digest('hex'), sha256(bytes)); resolve(port) } catch (error) { reject(error) } })
  })
}

const through = (relay) => ({ RELAY_THROUGH: relay.hex, RELAY_PORT: String(relay.port) })
const behind = (relay) => ({ RELAY_PORT: String(relay.port) })

async function listening (after, net, env) {
  const ours = stackpeer(after, net, ['listen', seed()], env)
  const { key } = await ours.said('listening')
  await ours.said('announced')
  return { program: ours, hex: key, key: Buffer.from(key, 'hex') }
}

async function dialled (after, net, key, env) {
  const ours = stackpeer(after, net, ['dial', key, 1, 1, BYTES], env)
  assert.deepStrictEqual(await ours.said('dialled', 30), { event: 'dialled', count: 1, failed: 0 }, JSON.stringify(ours.events))
  assert.strictEqual(ours.events.find((e) => e.event === 'open').relayed, true)
}

for (const [who, ofServer, ofClient] of [['client', behind, through], ['server', through, behind], ['client and server', through, through]]) {
  test(`our peers meet at their relay, named by the ${who}`, 60, async ({ after }) => {
    const net = await dht()
    const relay = await theirRelay(after, net)
    const server = await listening(after, net, ofServer(relay))
    await dialled(after, net, server.hex, ofClient(relay))
    assert.strictEqual(server.program.events.find((e) => e.event === 'open').relayed, true)
    assert.strictEqual(relay.stats.pairings.matched, 1)
  })
}

test('our client and their server meet at their relay', 60, async ({ after }) => {
  const net = await dht()
  const relay = await theirRelay(after, net)
  const server = await theirServer(after, net)
  await dialled(after, net, server.hex, through(relay))
  assert.ok(relay.ports.includes(server.ports[0]), `${server.ports} of ${relay.ports}`)
})

test('our client follows where their server sends it', 60, async ({ after }) => {
  const net = await dht()
  const relay = await theirRelay(after, net)
  const server = await theirServer(after, net, { relayThrough: relay.key })
  await dialled(after, net, server.hex, behind(relay))
  assert.ok(relay.ports.includes(server.ports[0]), `${server.ports} of ${relay.ports}`)
})

for (const [who, env, opts] of [['client', behind, (relay) => ({ relayThrough: relay.key })], ['server', through, () => ({})]]) {
  test(`their client and our server meet at their relay, named by the ${who}`, 60, async ({ after }) => {
    const net = await dht()
    const relay = await theirRelay(after, net)
    const server = await listening(after, net, env(relay))
    const port = await exchange(after, net, server.key, opts(relay))
    assert.ok(relay.ports.includes(port), `${port} of ${relay.ports}`)
    assert.strictEqual(server.program.events.find((e) => e.event === 'open').relayed, true)
  })
}

for (const who of ['client', 'server']) {
  test(`their peers meet at our relay, named by the ${who}`, 60, async ({ after }) => {
    const net = await dht()
    const relay = await ourRelay(after, net)
    const server = await theirServer(after, net, who === 'server' ? { relayThrough: relay.key } : {})
    const port = await exchange(after, net, server.key, who === 'client' ? { relayThrough: relay.key } : {})
    assert.ok(relay.ports.includes(port) && relay.ports.includes(server.ports[0]), `${port} and ${server.ports} of ${relay.ports}`)
    await relay.program.stop()
    const { made, bytes } = await relay.program.said('relayed')
    assert.strictEqual(made, 1)
    assert.ok(bytes > 2 * BYTES)
  })
}

for (const who of ['client', 'server']) {
  test(`their peers meet at "hypergate relay --open", named by the ${who}`, 60, async ({ after }) => {
    const net = await dht()
    const relay = await relayProcess(after, net, () => start(['relay', '--open', '--listen', '127.0.0.1:0', '--bootstrap', net.text]))
    const server = await theirServer(after, net, who === 'server' ? { relayThrough: relay.key } : {})
    await exchange(after, net, server.key, who === 'client' ? { relayThrough: relay.key } : {})
    assert.deepStrictEqual(await relay.ours.stop(), { code: 0, signal: null })
  })
}

test('a relay of a router does not serve strangers, who then do not meet', 60, async ({ after }) => {
  const net = await dht()
  const relay = await relayProcess(after, net, () => startInstance({ bootstrap: [net.text], host: '127.0.0.1', relay: true }, newSecret()))
  const server = await theirServer(after, net, { relayThrough: relay.key })
  await assert.rejects(exchange(after, net, server.key, {}))
})
