// SPDX-License-Identifier: BSD-3-Clause
// Our nodes as the network of others: every participant is HyperDHT's own, bootstrap, relays and storage are ours, all of them or
// every other one. Their client code can't tell.
'use strict'
const crypto = require('crypto')
const DHT = require('hyperdht')
const dgram = require('dgram')
const { createRequire } = require('module')
const { start } = require('./hypergate')
const { assert, test, eventually } = require('./tap')
const { openNode, firewalledNode } = require('./testnet')
const { stackpeer } = require('./stackpeer')

const nodeId = createRequire(require.resolve('hyperdht'))('dht-rpc/lib/peer').id

function freePort () {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4')
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}

async function ourNode (after, bootstrap) {
  const text = `127.0.0.1:${await freePort()}`
  const node = start(['bootstrap', '--listen', text, '--public', text, ...(bootstrap ? ['--bootstrap', bootstrap] : [])])
  after(() => node.stop())
  await eventually(() => node.log().includes('ready'), 15, `our node ${text}: ${node.log()}`)
  return text
}

async function theirNode (after, bootstrap, options = {}) {
  const node = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', ephemeral: false, firewalled: false, ...options })
  after(() => node.destroy())
  await node.fullyBootstrapped()
  return node
}

// @kinds: a node each, 'ours' or 'theirs'; the first is what the others begin with.
async function network (after, kinds) {
  const first = await ourNode(after, null)
  for (const kind of kinds.slice(1)) await (kind === 'ours' ? ourNode : theirNode)(after, first)
  return first
}

async function participant (after, bootstrap, make = openNode) {
  const node = make([bootstrap])
  after(() => node.destroy())
  await node.fullyBootstrapped()
  return node
}

async function all (stream) {
  const found = []
  for await (const one of stream) found.push(one)
  return found
}

const listed = (found, key) => found.some(({ peers }) => peers.some(({ publicKey }) => publicKey.equals(key)))

async function topics (after, bootstrap) {
  const [announcer, asker] = [await participant(after, bootstrap), await participant(after, bootstrap)]
  const topic = crypto.randomBytes(32)
  const keyPair = DHT.keyPair()
  await announcer.announce(topic, keyPair, [{ host: '127.0.0.1', port: 4000 }]).finished()
  const found = await all(asker.lookup(topic))
  assert(listed(found, keyPair.publicKey), 'listed')
  const peer = found[0].peers.find(({ publicKey }) => publicKey.equals(keyPair.publicKey))
  assert.deepStrictEqual(peer.relayAddresses, [{ host: '127.0.0.1', port: 4000 }])
  await announcer.unannounce(topic, keyPair)
  assert(!listed(await all(asker.lookup(topic)), keyPair.publicKey), 'no longer listed')
}

async function values (after, bootstrap) {
  const [putter, getter] = [await participant(after, bootstrap), await participant(after, bootstrap)]
  const value = crypto.randomBytes(900)
  const { hash } = await putter.immutablePut(value)
  assert.deepStrictEqual((await getter.immutableGet(hash)).value, value)
  assert.strictEqual(await getter.immutableGet(crypto.randomBytes(32)), null)

  const keyPair = DHT.keyPair()
  await putter.mutablePut(keyPair, Buffer.from('first'), { seq: 1 })
  assert.strictEqual((await getter.mutableGet(keyPair.publicKey)).value.toString(), 'first')
  await putter.mutablePut(keyPair, Buffer.from('second'), { seq: 2 })
  await putter.mutablePut(keyPair, Buffer.from('other second'), { seq: 2 }).catch(() => {})
  await putter.mutablePut(keyPair, Buffer.from('too late'), { seq: 1 }).catch(() => {})
  const got = await getter.mutableGet(keyPair.publicKey)
  assert.strictEqual(got.seq, 2)
  assert.strictEqual(got.value.toString(), 'second')
  assert.strictEqual(await getter.mutableGet(keyPair.publicKey, { seq: 3 }), null)
}

function echo (node, key, bytes) {
  return new Promise((resolve, reject) => {
    const stream = node.connect(key)
    const chunks = []
    stream.on('error', reject)
    stream.on('data', (chunk) => chunks.push(chunk))
    stream.on('end', () => { stream.end(); resolve(Buffer.concat(chunks)) })
    stream.on('open', () => { stream.write(bytes); stream.end() })
  })
}

async function connection (after, bootstrap, serverKind, clientKind) {
  const host = await participant(after, bootstrap, serverKind)
  const client = await participant(after, bootstrap, clientKind)
  const server = host.createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => socket.write(chunk))
    socket.on('end', () => socket.end())
  })
  const keyPair = DHT.keyPair()
  await server.listen(keyPair)
  after(() => server.close())
  const bytes = crypto.randomBytes(200000)
  assert.deepStrictEqual(await echo(client, keyPair.publicKey, bytes), bytes)
}

const networks = {
  'all nodes ours': ['ours', 'ours', 'ours', 'ours'],
  'every other node ours': ['ours', 'theirs', 'ours', 'theirs', 'ours', 'theirs']
}

for (const [name, kinds] of Object.entries(networks)) {
  test(`${name}: JavaScript nodes announce, look up and unannounce topics`, 30,
    async ({ after }) => topics(after, await network(after, kinds)))
  test(`${name}: JavaScript nodes put and get values`, 30, async ({ after }) => values(after, await network(after, kinds)))
  test(`${name}: JavaScript client and server, open, connect through a relay`, 30,
    async ({ after }) => connection(after, await network(after, kinds), openNode, openNode))
  test(`${name}: JavaScript client and server, both firewalled, punch through a relay`, 30,
    async ({ after }) => connection(after, await network(after, kinds), firewalledNode, firewalledNode))
}

test('a JavaScript node that only ours know finds itself reachable, becomes persistent, and serves', 30, async ({ after }) => {
  const bootstrap = await network(after, ['ours', 'ours', 'ours', 'ours', 'ours', 'ours'])
  const node = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', port: await freePort() })   // as it would be started by anybody
  after(() => node.destroy())
  await node.fullyBootstrapped()
  assert(node.ephemeral)
  const before = node.stats.commands.pingNat.tx
  node.firewalled = node.io.firewalled = true   // whatever the race of its start came to
  node._stableTicks = 1                         // it would be 20 minutes
  await eventually(() => !node.ephemeral, 15, 'it is persistent')
  assert(!node.firewalled && node.stats.commands.pingNat.tx >= before + 5, 'five were asked to answer at its other socket')
  assert.deepStrictEqual(node.id, nodeId('127.0.0.1', node.port))

  // Ours hear of it when it asks them something (it may, or may not, do so at once by itself), look whether it answers, and name it;
  // and whoever announces near it stores the record there.
  await all(node.findNode(node.id))
  const [announcer, asker] = [await participant(after, bootstrap), await participant(after, bootstrap)]
  const keyPair = DHT.keyPair()
  await eventually(async () => (await all(asker.findNode(node.id))).some(({ from }) => from.port === node.port), 15, 'ours name it')
  await announcer.announce(node.id, keyPair, []).finished()
  const found = (await all(asker.lookup(node.id))).filter(({ from }) => from.port === node.port)
  assert(listed(found, keyPair.publicKey), 'it lists the record itself')
})

// The @count free ports whose nodes are nearest to @target.
async function portsNear (target, count) {
  const distance = (port) => Buffer.from(nodeId('127.0.0.1', port).map((byte, i) => byte ^ target[i]))
  const ports = Array.from({ length: 3000 }, (_, i) => 20000 + i).sort((a, b) => Buffer.compare(distance(a), distance(b)))
  const free = []
  for (const port of ports) {
    const socket = dgram.createSocket('udp4')
    const bound = await new Promise((resolve) => { socket.once('error', () => resolve(false)); socket.bind(port, '127.0.0.1', () => resolve(true)) })
    if (bound) free.push(port)
    await new Promise((resolve) => bound ? socket.close(resolve) : resolve())
    if (free.length === count) return free
  }
}

test('a listener of ours moves to nearer relays when it loses one, and withdraws from the old ones', 60, async ({ after }) => {
  const text = await ourNode(after, null)
  const old = [await theirNode(after, text), await theirNode(after, text), await theirNode(after, text), await theirNode(after, text)]
  const keyPair = DHT.keyPair(crypto.randomBytes(32))
  const target = DHT.hash(keyPair.publicKey)
  const holds = (node) => Boolean(node._router.get(target))
  const server = stackpeer(after, { text }, ['listen', keyPair.secretKey.subarray(0, 32).toString('hex')])
  await server.said('listening')
  const relays = await eventually(() => { const those = old.filter(holds); return those.length >= 2 && those }, 15, 'two relays of theirs at least')

  const near = []
  for (const port of await portsNear(target, 3)) near.push(await theirNode(after, text, { port, anyPort: false }))
  await relays[0].destroy()
  await eventually(() => near.every(holds), 30, 'it is at the nearest three')
  await eventually(() => !relays.slice(1).some(holds), 15, 'and no longer at the others')

  const client = await participant(after, text, firewalledNode)
  const bytes = crypto.randomBytes(50000)
  assert.deepStrictEqual(await echo(client, keyPair.publicKey, bytes), bytes)
})
