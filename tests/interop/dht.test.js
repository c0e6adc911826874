// SPDX-License-Identifier: BSD-3-Clause
// Our nodes as the network of others: every participant is HyperDHT's own, bootstrap, relays and storage are ours, all of them or
// every other one. Their client code can't tell.
'use strict'
const crypto = require('crypto')
const DHT = require('hyperdht')
const dgram = require('dgram')
const { start } = require('./hypergate')
const { assert, test, eventually } = require('./tap')
const { openNode, firewalledNode } = require('./testnet')

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

async function theirNode (after, bootstrap) {
  const node = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', ephemeral: false, firewalled: false })
  after(() => node.destroy())
  await node.fullyBootstrapped()
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
