// SPDX-License-Identifier: BSD-3-Clause
// Game servers and players of npm: games.js minecraft|raknet serve|play PORT, and games.js query TYPE PORT, which asks as a list of
// servers does (gamedig). Who plays or asks prints what came of it, as JSON.
'use strict'
const { once } = require('events')

const VERSION = '1.16.5'
const HOST = '127.0.0.1'
const say = (found) => { console.log(JSON.stringify(found)); process.exit() }

const minecraft = {
  // Who joins is in the world, hears everybody, and gets a large letter.
  serve (port) {
    const mc = require('minecraft-protocol')
    const looks = { motd: 'a world behind a gate', maxPlayers: 7, keepAlive: true }
    const server = mc.createServer({ 'online-mode': false, host: HOST, port, version: VERSION, ...looks })
    const { loginPacket } = require('minecraft-data')(VERSION)
    server.on('login', (client) => {
      client.write('login', { ...loginPacket, entityId: client.id })
      client.write('position', { x: 0, y: 1.62, z: 0, yaw: 0, pitch: 0, flags: 0 })
      client.on('chat', ({ message }) => {
        for (const one of Object.values(server.clients)) {
          one.write('chat', { message: JSON.stringify({ text: `${client.username}: ${message}` }), position: 0, sender: '0' })
        }
      })
      client.on('custom_payload', ({ channel, data }) => client.write('custom_payload', { channel, data }))
    })
  },

  async play (port) {
    const mc = require('minecraft-protocol')
    const { description, players } = await mc.ping({ host: HOST, port, version: VERSION })
    const join = async (username) => {
      const client = mc.createClient({ host: HOST, port, username, version: VERSION, auth: 'offline' })
      client.on('error', (error) => { throw error })
      await once(client, 'position')
      return client
    }
    const [one, other] = await Promise.all([join('one'), join('other')])
    const heard = []
    other.on('chat', ({ message }) => heard.push(JSON.parse(message).text))
    let alive = 0
    one.on('keep_alive', () => alive++)
    for (let i = 0; i < 100; i++) {
      one.write('chat', { message: 'word ' + i })
      await once(other, 'chat')
    }
    const letter = require('crypto').randomBytes(30000)
    one.write('custom_payload', { channel: 'test:letter', data: letter })
    const [{ data }] = await once(one, 'custom_payload')
    if (!alive) await once(one, 'keep_alive')
    say({
      motd: description.text ?? description,
      max: players.max,
      heard: heard.filter((text, i) => text === 'one: word ' + i).length,
      letter: letter.equals(data),
      alive: alive > 0
    })
  }
}

const raknet = {
  // At another address than the gate's: a client's handshake names the port, which must be the server's own.
  serve (port) {
    const { Server } = require('jsp-raknet')
    const name = { toString: () => 'MCPE;a cave behind a gate;390;1.16.0;1;5;1;caves;Creative;' }
    const server = new Server('127.0.0.2', port, name)
    server.on('encapsulated', ({ buffer }, { hash }) => {
      if (buffer[0] === 0xfe) server.connections.get(hash).addEncapsulatedToQueue(packet(buffer))
    })
    server.listen()
  },

  // The handshake, and messages of which the larger ones go in parts.
  async play (port) {
    const { Client } = require('jsp-raknet')
    const client = new Client(HOST, port)
    const pong = new Promise((resolve) => client.ping(resolve))
    const name = await pong
    client.connect()
    await once(client, 'connected')
    const crypto = require('crypto')
    let same = 0
    for (const bytes of [10, 1000, 20000]) {
      const sent = Buffer.concat([Buffer.from([0xfe]), crypto.randomBytes(bytes)])
      const answered = once(client, 'encapsulated')
      client.connection.addEncapsulatedToQueue(packet(sent))
      const [{ buffer }] = await answered
      if (sent.equals(buffer)) same++
    }
    say({ name, same })
  }
}

function packet (buffer) {
  const EncapsulatedPacket = require('jsp-raknet/js/protocol/EncapsulatedPacket').default
  const made = new EncapsulatedPacket()
  made.reliability = 2
  made.buffer = buffer
  return made
}

async function query (type, port) {
  const { GameDig } = require('gamedig')
  const asked = { type, host: HOST, port: Number(port), givenPortOnly: true, maxRetries: 5 }
  const { name, version, numplayers, maxplayers, raw } = await GameDig.query(asked)
  say({ name, version, numplayers, maxplayers, raw })
}

const [what, how, port] = process.argv.slice(2)
if (what === 'query') query(how, port)
else ({ minecraft, raknet })[what][how](Number(port))
