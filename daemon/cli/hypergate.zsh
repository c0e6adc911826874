#compdef hypergate
# SPDX-License-Identifier: BSD-3-Clause
# zsh completion for hypergate(1)
_hypergate_instances() {
	local -a names
	names=(${(f)"$(hypergate status --json 2>/dev/null | sed -n 's/.*"instance":"\([^"\\]*\)".*/\1/p')"})
	compadd -a names
}

_hypergate_gates() {
	local -a gates
	gates=(${(f)"$(hypergate services --json 2>/dev/null | sed -n 's/.*"gatePort":\([0-9]*\),"protocol":"\([a-z]*\)".*/\1\/\2/p')"})
	compadd -a gates
}

_hypergate_allowed() {
	local -a addresses
	addresses=(${(f)"$(hypergate allowed --json 2>/dev/null | sed -n 's/.*"address":"\([0-9a-f.:]*\)".*/\1/p')"})
	compadd -a addresses
}

_hypergate_secrets() {
	local -a names
	names=(/etc/hypergate/*.key(N:t:r))
	compadd -a names
	_files
}

_hypergate() {
	local -a commands=(
		'new:make a router secret' 'rotate:exchange a router secret for a new one' 'check:say what is wrong with a configuration' 'run:run an instance in the foreground'
		'bootstrap:run a persistent DHT node' 'relay:carry what others can not send directly' 'scan:who is at that router'
		'doctor:what the network of this machine is like' 'status:how instances fare' 'peers:whom they are connected to'
		'reload:let them read their configuration anew'
		'routes:which peer offers which gate port' 'gates:which gates are open' 'services:what they offer'
		'channels:what is carried now' 'metrics:all of that for Prometheus' 'log-level:how much they log'
		'top:all of that, again and again' 'add:offer these services, too' 'remove:offer nothing behind a gate port any more' 'drain:take no new clients'
		'undrain:take clients again' 'allow:let clients in whatever policies say' 'deny:as policies say again, no ban' 'allowed:who is let in so'
		'version:which one this is'
	)
	local -a start=('--user[become this user]:user:_users' '--allow-root[stay root]')
	local -a asks=('*--bootstrap[DHT nodes to begin with]:host\:port:_hosts' $start)
	local -a nodes=('--verbose[log more]' $asks)
	local -a limits=(
		'--routeFindingTimeoutMs[how long a client waits for a provider]:ms:' '--udpSocketTimeoutMs[how long UDP sessions may be silent]:ms:'
		'--tcpSocketTimeoutMs[how long TCP connections may be silent]:ms:'
		'--openRequestTimeoutMs[how long a provider may take to answer]:ms:' '--routeExpirationMs[how long routes count]:ms:'
		'--statsIntervalMs[between two lines about what was carried]:ms:'
		{--maxBufferPerChannel,--maxBufferPerPeer}'[what is kept until it is taken]:bytes:'
		'*--ingressPolicy[who may use these services]:policy:_files' '--fingerprintResolverPort[where services ask whose a connection is]:port:' '--fingerprintResolverHost[at this address]:ip:'
		'--fingerprintResolverBasicAuth[who may]:user\:password:'
		'--unlimitedSecret[what tokens of clients are made with]:secret:' '--unlimitedPort[where they bring them]:port:' '--unlimitedHost[at this address]:ip:'
		'--docker[services of containers, and names among them]:socket:_files' '*--network[on this network]:network:(hypergatenet)'
		'--image[with helpers of this image]:image:(hypergate)' '--refreshTime[between two looks when nothing happens]:ms:'
		'--exposeOnlyDocker[services of containers alone]:truth:(true false)' '--exposeOnlyPublished[published services alone]:truth:(true false)'
		'*--exposeOnlyServices[services of these hosts alone]:host:'
		{--channelTimeoutPollMs,--peerRefreshMs,--findRouteRetryMinMs,--findRouteRetryMaxMs,--peerStaleMs,--peerRefreshWaitMs}'[without effect]:ms:'
	)

	if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
		_describe command commands
		return
	fi
	case $words[2] in
	new) _arguments '1::' '--output[write the secret there]:file:_files' '--json' '--help' ;;
	rotate) _arguments '1::' '--overlap[for so long the old one counts]:time:(24h 7d 0)' '--json' '--help' ':secret:_hypergate_secrets' ;;
	check) _arguments '1::' '--show[print what its files say together]' '--json' '*'{-c,--config}'[the same as FILE]:file:_files' '--help' '*:file:_files' ;;
	version) _arguments '1::' '--json' '--help' ;;
	run) _arguments '1::' {-c,--config}'[the same as FILE]:file:_files' '--verbose[log more]' $start '--help' ':file:_files' ;;
	bootstrap) _arguments '1::' '--listen[UDP address of the node]:ip\:port:' '--public[where others reach it]:ip\:port:' $nodes '--help' ;;
	relay) _arguments '1::' '--router[its secret]:secret:' '--secret-file[the secret is in there]:file:_files' '--open[for whoever knows its key]' '--listen[UDP address]:ip\:port:' $nodes '--help' ;;
	scan) _arguments '1::' '--router[its secret]:secret:' '--secret-file[the router whose secret is in there]:file:_files' '--seconds[for so long at most]:seconds:' '--json' $asks ;;
	doctor) _arguments '1::' '--json' $asks '--help' ;;
	reload) _arguments '1::' '--secret-file[hand it over, as root]:file:_files' '--json' '--help' '*:instance:_hypergate_instances' ;;
	status | peers | undrain | allowed | routes | gates | services | channels) _arguments '1::' '--json' '--help' '*:instance:_hypergate_instances' ;;
	add) _arguments '1::' '--save[also for the next start]' '--json' '--help' '2:services:_files' '*:instance:_hypergate_instances' ;;
	remove) _arguments '1::' '--save[also for the next start]' '--json' '--help' '2:gate port:_hypergate_gates' '*:instance:_hypergate_instances' ;;
	drain) _arguments '1::' '--wait[until nobody is connected]:seconds:' '--json' '--help' '*:instance:_hypergate_instances' ;;
	allow) _arguments '1::' '--for[for so long]:time:(30m 8h 1d)' '--unlimited[as it always is]' '--json' '--help' '2:address:' '*:instance:_hypergate_instances' ;;
	deny) _arguments '1::' '--json' '--help' '2:address:_hypergate_allowed' '*:instance:_hypergate_instances' ;;
	top) _arguments '1::' {-d,--delay}'[between two pages]:seconds:' {-n,--count}'[end after so many pages]:pages:' '--help' '*:instance:_hypergate_instances' ;;
	metrics) _arguments '1::' '--http[answer one request of HTTP]' '--listen[answer all]:ip\:port:(127.0.0.1\:9469)' '--help' ;;
	log-level) _arguments '1::' '--json' '--help' '2::level:(error warning notice info debug)' '*:instance:_hypergate_instances' ;;
	*) _arguments '--router[its secret]:secret:' '--secret-file[the secret is in there]:file:_files' '*--provider[offer these]:services:_files' '--gateway[open gates]:services:_files' \
		'*--listen[where gates open]:ip:(127.0.0.1 0.0.0.0 \:\:1 \:\:)' '--new[make a router secret]' '--scan[who is at that router]:key:' '--help' '--version' $nodes $limits ;;
	esac
}
_hypergate "$@"
