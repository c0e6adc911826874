// SPDX-License-Identifier: BSD-3-Clause
// The stack below the tunnel with HyperDHT's own servers and clients: finding each other, handshakes, streams, half-close.
'use strict'
const crypto = require('crypto')
const DHT = require('hyperdht')
const { assert, test, eventually } = require('./tap')
const { sha256, bytesOf } = require('./net-tools')
const program = require('./stackpeer')
const { sharedTestnet, openNode, firewalledNode } = require('./testnet')

const MB = 1024 * 1024
const nodes = { open: openNode, firewalled: firewalledNode }
const dht = sharedTestnet()

const stackpeer = (after, net, ...args) => program.stackpeer(after, net, args)

async function node (after, net, kind) {
  const node = nodes[kind](net.bootstrap)
  after(() => node.destroy())
  await node.fullyBootstrapped()
  return node
}

// Sends @bytes to @key over a connection of @node's, ends, reads to the end.
function exchange (node, key, bytes) {
  return new Promise((resolve, reject) => {
    const stream = node.connect(Buffer.from(key, 'hex'))
    const hash = crypto.createHash('sha256')
    let length = 0
    stream.on('data', (chunk) => { hash.update(chunk); length += chunk.length })
    stream.on('error', reject)
    stream.on('end', () => resolve({ length, digest: hash.digest('hex'), mtu: stream.rawStream.mtu }))
    stream.on('open', async () => {
      for (let at = 0; at < bytes.length; at += 60000) {
        if (!stream.write(bytes.subarray(at, at + 60000))) await new Promise((resolve) => stream.once('drain', resolve))
      }
      stream.end()
    })
  })
}

// Returns how long their IP packets were in the end, as they count.
async function echoes (node, key, seed, length) {
  const bytes = bytesOf(seed, length)
  const { digest, length: got, mtu } = await exchange(node, key, bytes)
  assert.strictEqual(digest, sha256(bytes), `${got} of ${length} bytes`)
  return mtu
}

// Each direction looks for what the path carries, and a loopback carries the longest there are: 1,472 bytes as we count them.
const longest = (ours) => ours.events.find((e) => e.event === 'closed' && e.bytes === 50 * MB)

for (const kind of Object.keys(nodes)) {
  test(`their client (${kind}) reaches our server, found by topic and by key`, 90, async ({ after }) => {
    const net = await dht()
    const topic = crypto.randomBytes(32)
    const ours = stackpeer(after, net, 'listen', crypto.randomBytes(32).toString('hex'), topic.toString('hex'))
    const { key } = await ours.said('listening')
    await ours.said('done')
    const theirs = await node(after, net, kind)
    const listed = []
    for await (const { peers } of theirs.lookup(topic)) for (const peer of peers) listed.push(peer.publicKey.toString('hex'))
    assert.ok(listed.includes(key))

    assert.strictEqual(await echoes(theirs, key, 'large', 50 * MB), 1500)
    for (let i = 0; i < 200; i++) await echoes(theirs, key, 'one by one ' + i, 1000)
    await Promise.all(Array.from({ length: 50 }, (_, i) => echoes(theirs, key, 'at once ' + i, 100000)))
    await eventually(() => ours.events.filter((e) => e.event === 'closed').length === 251, 10, 'all connections are over')
    assert.ok(ours.events.every((e) => e.event !== 'closed' || e.good), 'each one closed in order')
    assert.strictEqual(longest(ours).datagram, 1472)
    assert.strictEqual(await ours.stop(), 0)
  })

  test(`our client reaches their server (${kind}), found by topic and by key`, 90, async ({ after }) => {
    const net = await dht()
    const theirs = await node(after, net, kind)
    const topic = crypto.randomBytes(32)
    const keyPair = DHT.keyPair()
    const key = keyPair.publicKey.toString('hex')
    let broken = 0
    const server = theirs.createServer((stream) => {
      stream.on('error', () => broken++)
      stream.on('data', async (chunk) => { if (!stream.write(chunk)) { stream.pause(); stream.once('drain', () => stream.resume()) } })
      stream.on('end', () => stream.end())
    })
    after(() => server.close())
    await server.listen(keyPair)
    await theirs.announce(topic, keyPair, server.relayAddresses).finished()

    const lookup = stackpeer(after, net, 'lookup', topic.toString('hex'))
    assert.strictEqual((await lookup.said('listed')).key, key)
    assert.strictEqual(await lookup.ended, 0)
    for (const [count, parallel, bytes] of [[1, 1, 50 * MB], [200, 1, 1000], [50, 50, 100000]]) {
      const ours = stackpeer(after, net, 'dial', key, count, parallel, bytes)
      assert.deepStrictEqual(await ours.said('dialled', 60), { event: 'dialled', count, failed: 0 }, JSON.stringify(ours.events.slice(-3)))
      assert.strictEqual(await ours.ended, 0)
      if (bytes === 50 * MB) assert.strictEqual(longest(ours).datagram, 1472)
    }
    assert.strictEqual(broken, 0)
  })
}

test('nobody has that key: a dial says so', 30, async ({ after }) => {
  const ours = stackpeer(after, await dht(), 'dial', DHT.keyPair().publicKey.toString('hex'), 1, 1, 10)
  assert.strictEqual((await ours.said('dial failed', 20)).failure, 0)
})
