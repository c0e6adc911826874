# SPDX-License-Identifier: BSD-3-Clause
# bash completion for hypergate(1)
_hypergate() {
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options
	COMPREPLY=()
	case $before in
	--provider | --gateway | --ingressPolicy | --docker | --output | --secret-file | --config | -c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); [[ $current == -* ]] || return 0 ;;
	--exposeOnlyDocker | --exposeOnlyPublished) mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$current"); [[ $current == -* ]] || return 0 ;;
	--image) mapfile -t COMPREPLY < <(compgen -W 'hypergate' -- "$current"); return 0 ;;
	--network) mapfile -t COMPREPLY < <(compgen -W 'hypergatenet' -- "$current"); return 0 ;;
	--user) mapfile -t COMPREPLY < <(compgen -u -- "$current"); return 0 ;;
	--listen)
		case $command in
		metrics) mapfile -t COMPREPLY < <(compgen -W '127.0.0.1:9469' -- "$current"); return 0 ;;
		bootstrap | relay) return 0 ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W '127.0.0.1 0.0.0.0 ::1 ::' -- "$current"); return 0 ;;
	--router | --scan | --*Ms | --refreshTime | --exposeOnlyServices | --maxBufferPerChannel | --maxBufferPerPeer | --public | --bootstrap | --seconds | --overlap | --wait | --for | --delay | --count | -d | -n) return 0 ;;
	esac
	case $command in
	new) options='--output --json --help' ;;
	rotate) options='--overlap --json --help' ;;
	check) options='--config --show --json --help' ;;
	version) options='--json --help' ;;
	run) options='--config --user --allow-root --verbose --help' ;;
	relay) options='--router --secret-file --open --listen --bootstrap --verbose --user --allow-root --help' ;;
	bootstrap) options='--listen --public --bootstrap --verbose --user --allow-root --help' ;;
	scan) options='--router --secret-file --seconds --json --bootstrap --user --allow-root --help' ;;
	doctor) options='--json --bootstrap --user --allow-root --help' ;;
	metrics) options='--http --listen --help' ;;
	add | remove) options='--save --json --help' ;;
	drain) options='--wait --json --help' ;;
	allow) options='--for --unlimited --json --help' ;;
	top) options='--delay --count --help' ;;
	reload) options='--secret-file --json --help' ;;
	status | peers | undrain | deny | allowed | routes | gates | services | channels | log-level) options='--json --help' ;;
	*)
		options='--router --secret-file --provider --gateway --listen --bootstrap --verbose --user --allow-root --new --scan --help --version'
		options+=' --routeFindingTimeoutMs --udpSocketTimeoutMs --tcpSocketTimeoutMs --channelTimeoutPollMs'
		options+=' --openRequestTimeoutMs --routeExpirationMs --statsIntervalMs --maxBufferPerChannel --maxBufferPerPeer --peerRefreshMs'
		options+=' --findRouteRetryMinMs --findRouteRetryMaxMs --peerStaleMs --peerRefreshWaitMs'
		options+=' --ingressPolicy --fingerprintResolverPort --fingerprintResolverHost --fingerprintResolverBasicAuth --unlimitedSecret --unlimitedPort --unlimitedHost'
		options+=' --docker --network --image --refreshTime --exposeOnlyDocker --exposeOnlyPublished --exposeOnlyServices' ;;
	esac
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
	elif ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'new rotate check run bootstrap relay scan doctor status peers reload routes gates services channels top metrics log-level add remove drain undrain allow deny allowed version' -- "$current")
	elif [[ $command == log-level && $COMP_CWORD -eq 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'error warning notice info debug' -- "$current")
	elif [[ $command == rotate && $current != */* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(cd /etc/hypergate 2>/dev/null && printf '%s\n' *.key | sed -n 's/^\([^*]*\)\.key$/\1/p')" -- "$current")
	elif [[ $command == rotate || $command == check || $command == run ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	elif [[ $command == add && $before == @(add|--*) ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	elif [[ $command == remove && $before == @(remove|--*) ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(hypergate services --json 2>/dev/null | sed -n 's/.*"gatePort":\([0-9]*\),"protocol":"\([a-z]*\)".*/\1\/\2/p')" -- "$current")
	elif [[ $command == deny && $before == @(deny|--*) ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(hypergate allowed --json 2>/dev/null | sed -n 's/.*"address":"\([0-9a-f.:]*\)".*/\1/p')" -- "$current")
	elif [[ $command == allow && $before == allow ]]; then
		return 0
	elif [[ $command == top || ($options == *'--json --help' && $command != @(new|version)) ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(hypergate status --json 2>/dev/null | sed -n 's/.*"instance":"\([^"\\]*\)".*/\1/p')" -- "$current")
	fi
}
complete -o filenames -F _hypergate hypergate
