// SPDX-License-Identifier: BSD-3-Clause
// Connections over blind relays: theirs with our peers, ours with theirs, mixed ones over both.
'use strict'
const crypto = require('crypto')
const { createRequire } = require('module')
const DHT = require('hyperdht')
const inHyperdht = createRequire(require.resolve('hyperdht'))
const blindRelay = inHyperdht('blind-relay')
const { assert, test, eventually, sleep } = require('./tap')
const { sha256, bytesOf } = require('./net-tools')
const { SECONDS, Changes, vectors } = require('./captures')
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
  return { key: keyPair.publicKey, hex: keyPair.publicKey.toString('hex'), port: dhtNode.address().port,
    ports: [dhtNode.io.serverSocket, dhtNode.io.clientSocket].map((socket) => socket.address().port), stats: relay.stats }
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

// Sends @bytes from a client of theirs, wants them back; resolves to the port it came from. @meanwhile happens when half of it is there.
async function exchange (after, net, key, opts, meanwhile = async () => {}) {
  const theirs = await node(after, net, firewalledNode)
  const bytes = bytesOf('relayed', BYTES)
  return new Promise((resolve, reject) => {
    const stream = theirs.connect(key, { localConnection: false, holepunch: () => false, ...opts })
    const hash = crypto.createHash('sha256')
    const write = (from, to) => { for (let at = from; at < to; at += 50000) stream.write(bytes.subarray(at, at + 50000)) }
    let port
    let got = 0
    stream.on('open', () => { port = stream.rawStream.remotePort; write(0, BYTES / 2) })
    stream.on('data', (chunk) => {
      hash.update(chunk)
      got += chunk.length
      if (got === BYTES / 2) meanwhile().then(() => { write(BYTES / 2, BYTES); stream.end() }).catch(reject)
    })
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

// What clients of a relay and the relay once said, by those who said it: the keys are of the seeds that the file tells.
async function sayCaptures (net, after, relay, seconds) {
  const changes = new Changes()
  const theirs = await node(after, net, openNode)
  const scenarios = vectors('relay.json').scenarios.map(({ events }) => events.filter((e) => e.kind === 'mux').map((e) => ({ by: e.node, bytes: Buffer.from(e.hex, 'hex') })))
    .filter((said) => said.length)
  const all = scenarios.flat()
  const speakers = { 'server-node': DHT.keyPair(Buffer.alloc(32, 0x11)), 'client-node': DHT.keyPair(Buffer.alloc(32, 0x12)) }
  const count = { connections: 0, frames: 0, back: 0 }
  const until = Date.now() + seconds * 1000
  const dial = async (keyPair) => {
    const stream = theirs.connect(relay.key, { keyPair, localConnection: false })
    stream.on('error', () => {}).on('data', () => count.back++)
    await stream.opened
    count.connections++
    return stream
  }
  while (Date.now() < until) {
    const said = changes.one(scenarios)
    const streams = {}
    for (const [name, keyPair] of Object.entries(speakers)) streams[name] = await dial(keyPair)
    const say = (stream, bytes) => { if (!stream.destroyed) { stream.write(bytes); count.frames++ } }
    for (const { by, bytes } of said) {
      if (streams[by]) say(streams[by], changes.below(3) ? bytes : changes.of(bytes))
    }
    await sleep(30)             // they are paired by now, if so much was left as it was
    for (let left = changes.below(60); left > 0; left--) {
      const { bytes } = changes.one(all)
      say(changes.one(Object.values(streams)), changes.below(4) ? changes.of(bytes) : bytes)
      if (left % 10 === 0) await sleep(5)
    }
    for (const stream of Object.values(streams)) changes.below(2) ? stream.destroy() : stream.end()
  }
  return count
}

test('recorded frames, changed, at a relay of ours: whom it relays for goes on', 60 + SECONDS, async ({ after }) => {
  const net = await dht()
  const relay = await relayProcess(after, net, () => start(['relay', '--open', '--listen', '127.0.0.1:0', '--bootstrap', net.text]))
  const server = await theirServer(after, net, { relayThrough: relay.key })
  const before = relay.ours.log().length
  let count
  await exchange(after, net, server.key, {}, async () => { count = await sayCaptures(net, after, relay, SECONDS) })
  await exchange(after, net, server.key, {})
  const said = relay.ours.log().slice(before)
  console.log(`# ${count.connections} connections, ${count.frames} frames, ${count.back} came back; ${said.length} characters said`)
  assert.ok(count.connections > 4 && count.frames > 20 * SECONDS && count.back > count.connections / 2, JSON.stringify(count))
  assert.ok(said.length < 2000, said)
  assert.ok(!/worker .* (ended|killed)/.test(relay.ours.log()), relay.ours.log())
  assert.deepStrictEqual(await relay.ours.stop(), { code: 0, signal: null })
})
