// SPDX-License-Identifier: BSD-3-Clause
// Many providers of the original's kind in one process, until it is killed: node crowd.js reads {"secret", "bootstrap", "lists": [services
// of each]}, and says "announced" when the DHT knows all of them.
'use strict'
const fs = require('fs')
const Provider = require('../interop/double/provider')

async function main () {
  const { lists, ...common } = JSON.parse(fs.readFileSync(0, 'utf8'))
  const providers = lists.map((services) => new Provider({ ...common, services, advertiseMs: 5000 }))
  for (const provider of providers) await provider.refreshed
  console.log('announced')
}

main()
