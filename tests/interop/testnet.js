// SPDX-License-Identifier: BSD-3-Clause
// A private DHT of JavaScript nodes on loopback, and nodes on it.
'use strict'
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet.js')
const { finallyDo } = require('./tap')

async function testnet (size = 4) {
  const net = await createTestnet(size, { host: '127.0.0.1', port: 0 })
  const [{ host, port }] = net.bootstrap
  return { bootstrap: net.bootstrap, text: `${host}:${port}`, close: () => net.destroy() }
}

// Yields a function that resolves to one testnet for all tests of a file, which ends with them.
function sharedTestnet (size) {
  let shared = null
  return async () => {
    if (!shared) {
      shared = await testnet(size)
      finallyDo(() => shared.close())
    }
    return shared
  }
}

// A node as it would be behind a firewall. On loopback every node finds itself open; this one never asks.
function firewalledNode (bootstrap) {
  const node = new DHT({ bootstrap, host: '127.0.0.1', ephemeral: true })
  node._checkIfFirewalled = async () => true
  return node
}

function openNode (bootstrap) {
  return new DHT({ bootstrap, host: '127.0.0.1', ephemeral: true })
}

module.exports = { testnet, sharedTestnet, openNode, firewalledNode }
