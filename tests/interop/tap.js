// SPDX-License-Identifier: BSD-3-Clause
// Tests that print TAP; with any arguments only those whose name contains one of them. A test that throws has failed; a hanging one
// is cut off, and what it registered is cleaned up.
'use strict'
const assert = require('assert')

const tests = []
const suite = []
const witnesses = new Set()
let wrong = 0

// Runs in order. @seconds: how long it may take.
function test (name, seconds, run) { tests.push({ name, seconds, run }) }

// Something is wrong beside what the tests look at: all of them together have failed.
function condemn (why) {
  wrong++
  console.log('# ' + String(why).replace(/\n/g, '\n# '))
}

// When a test fails, what @tell() yields is told with it; the function returned ends that.
function witness (tell) {
  witnesses.add(tell)
  return () => witnesses.delete(tell)
}

function testify () {
  for (const tell of witnesses) for (const line of tell().trimEnd().split('\n')) console.log('#     ' + line)
}

// For all tests: undone after the last, newest first.
function finallyDo (undo) { suite.push(undo) }

async function undoAll (list) {
  for (const undo of list.splice(0).reverse()) {
    try { await limited(undo(), 20, 'clean-up') } catch (error) { console.log('# clean-up: ' + error.message) }
  }
}

function limited (promise, seconds, what) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${seconds} s`)), seconds * 1000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function main () {
  let failed = 0
  const wanted = process.argv.slice(2)
  const chosen = tests.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  console.log(`1..${chosen.length}`)
  for (const [index, { name, seconds, run }] of chosen.entries()) {
    const undo = []
    const began = Date.now()
    try {
      await limited(run({ after: (what) => undo.push(what) }), seconds, name)
      console.log(`ok ${index + 1} - ${name} # ${Date.now() - began} ms`)
    } catch (error) {
      failed++
      console.log(`not ok ${index + 1} - ${name}`)
      for (const line of String(error.stack || error).split('\n')) console.log('#   ' + line)
      testify()
    }
    await undoAll(undo)
  }
  await undoAll(suite)
  process.exit(failed || wrong || chosen.length === 0 ? 1 : 0)
}

process.on('unhandledRejection', (error) => {
  console.log('# unhandled: ' + (error && error.stack))
  process.exitCode = 1
})
setImmediate(main)

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// Calls @probe until it yields something true; returns that.
async function eventually (probe, seconds, what) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const value = await probe()
    if (value) return value
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`)
    await sleep(20)
  }
}

module.exports = { assert, test, condemn, witness, finallyDo, sleep, eventually, limited }
