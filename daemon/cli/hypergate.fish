# SPDX-License-Identifier: BSD-3-Clause
# fish completion for hypergate(1)
function __hypergate_instances
    hypergate status --json 2>/dev/null | string replace -rf '.*"instance":"([^"\\\\]*)".*' '$1'
end

function __hypergate_gates
    hypergate services --json 2>/dev/null | string replace -rf '.*"gatePort":([0-9]*),"protocol":"([a-z]*)".*' '$1/$2'
end

function __hypergate_allowed
    hypergate allowed --json 2>/dev/null | string replace -rf '.*"address":"([0-9a-f.:]*)".*' '$1'
end

# In a variable a pattern may match nothing.
function __hypergate_secrets
    set -l keys /etc/hypergate/*.key
    set -q keys[1]; and string replace -rf '.*/(.*)\.key' '$1' $keys
end

set -l commands new rotate check run bootstrap relay scan doctor status peers reload routes gates services channels top metrics log-level add remove drain undrain allow deny allowed version
set -l asks status peers reload undrain drain allow deny allowed routes gates services channels log-level
set -l without "not __fish_seen_subcommand_from $commands"

complete -c hypergate -f
complete -c hypergate -n $without -a new -d 'Make a router secret'
complete -c hypergate -n $without -a rotate -d 'Exchange a router secret for a new one'
complete -c hypergate -n $without -a check -d 'Say what is wrong with a configuration'
complete -c hypergate -n $without -a run -d 'Run an instance in the foreground'
complete -c hypergate -n $without -a bootstrap -d 'Run a persistent DHT node'
complete -c hypergate -n $without -a relay -d 'Carry what others can not send directly'
complete -c hypergate -n $without -a scan -d 'Who is at that router'
complete -c hypergate -n $without -a doctor -d 'What the network of this machine is like'
complete -c hypergate -n $without -a status -d 'How instances fare'
complete -c hypergate -n $without -a peers -d 'Whom they are connected to'
complete -c hypergate -n $without -a reload -d 'Let them read their configuration anew'
complete -c hypergate -n $without -a routes -d 'Which peer offers which gate port'
complete -c hypergate -n $without -a gates -d 'Which gates are open'
complete -c hypergate -n $without -a services -d 'What they offer'
complete -c hypergate -n $without -a channels -d 'What is carried now'
complete -c hypergate -n $without -a metrics -d 'All of that for Prometheus'
complete -c hypergate -n $without -a log-level -d 'How much they log'
complete -c hypergate -n $without -a top -d 'All of that, again and again'
complete -c hypergate -n $without -a add -d 'Offer these services, too'
complete -c hypergate -n $without -a remove -d 'Offer nothing behind a gate port any more'
complete -c hypergate -n $without -a drain -d 'Take no new clients'
complete -c hypergate -n $without -a undrain -d 'Take clients again'
complete -c hypergate -n $without -a allow -d 'Let clients in whatever policies say'
complete -c hypergate -n $without -a deny -d 'As policies say again, no ban'
complete -c hypergate -n $without -a allowed -d 'Who is let in so'
complete -c hypergate -n $without -a version -d 'Which one this is'

complete -c hypergate -n "__fish_seen_subcommand_from rotate check run add" -F
complete -c hypergate -n "__fish_seen_subcommand_from $asks top add remove" -a '(__hypergate_instances)'
complete -c hypergate -n "__fish_seen_subcommand_from log-level" -a 'error warning notice info debug'
complete -c hypergate -n "__fish_seen_subcommand_from $asks new rotate check add remove scan doctor version" -l json -d 'An object a line'
complete -c hypergate -n "__fish_seen_subcommand_from check run" -s c -l config -rF -d 'The same as FILE'
complete -c hypergate -n "__fish_seen_subcommand_from check" -l show -d 'Print what its files say together'
complete -c hypergate -n "__fish_seen_subcommand_from new" -l output -rF -d 'Write the secret there'
complete -c hypergate -n "__fish_seen_subcommand_from rotate" -a '(__hypergate_secrets)'
complete -c hypergate -n "__fish_seen_subcommand_from rotate" -l overlap -x -d 'For so long the old one counts'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from relay scan" -l secret-file -rF -d 'The router whose secret is in there'
complete -c hypergate -n "__fish_seen_subcommand_from reload" -l secret-file -rF -d 'Hand it over, as root'
complete -c hypergate -n "__fish_seen_subcommand_from scan" -l seconds -x -d 'For so long at most'
complete -c hypergate -n "__fish_seen_subcommand_from remove" -a '(__hypergate_gates)'
complete -c hypergate -n "__fish_seen_subcommand_from add remove" -l save -d 'Also for the next start'
complete -c hypergate -n "__fish_seen_subcommand_from top" -s d -l delay -x -d 'Between two pages'
complete -c hypergate -n "__fish_seen_subcommand_from top" -s n -l count -x -d 'End after so many pages'
complete -c hypergate -n "__fish_seen_subcommand_from drain" -l wait -x -d 'Until nobody is connected, for so long at most'
complete -c hypergate -n "__fish_seen_subcommand_from allow" -l for -x -d 'For so long'
complete -c hypergate -n "__fish_seen_subcommand_from allow" -l unlimited -d 'As it always is'
complete -c hypergate -n "__fish_seen_subcommand_from deny" -a '(__hypergate_allowed)'
complete -c hypergate -n "__fish_seen_subcommand_from metrics" -l http -d 'Answer one request of HTTP'
complete -c hypergate -n "__fish_seen_subcommand_from bootstrap" -l public -x -d 'Where others reach it'
complete -c hypergate -n "__fish_seen_subcommand_from relay" -l open -d 'For whoever knows its key'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from relay scan" -l router -x -d 'Its secret'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from bootstrap relay metrics" -l listen -x -d 'Address of gates, or of the node'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from bootstrap relay scan doctor" -l bootstrap -x -d 'DHT nodes to begin with'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from run bootstrap relay" -l verbose -d 'Log more'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from run bootstrap relay scan doctor" -l user -xa '(__fish_complete_users)' -d 'Become this user'
complete -c hypergate -n "$without; or __fish_seen_subcommand_from run bootstrap relay scan doctor" -l allow-root -d 'Stay root'
complete -c hypergate -n $without -l provider -rF -d 'Offer these services'
complete -c hypergate -n $without -l gateway -F -d 'Open a gate for each service, or for these'
complete -c hypergate -n $without -l new -d 'Make a router secret'
complete -c hypergate -n $without -l scan -x -d 'Who is at that router'
complete -c hypergate -n $without -l routeFindingTimeoutMs -x -d 'How long a client waits for a provider'
complete -c hypergate -n $without -l udpSocketTimeoutMs -x -d 'How long UDP sessions may be silent'
complete -c hypergate -n $without -l tcpSocketTimeoutMs -x -d 'How long TCP connections may be silent'
complete -c hypergate -n $without -l ingressPolicy -rF -d 'Who may use these services'
complete -c hypergate -n $without -l fingerprintResolverPort -x -d 'Where services ask whose a connection is'
complete -c hypergate -n $without -l fingerprintResolverHost -x -d 'At this address'
complete -c hypergate -n $without -l fingerprintResolverBasicAuth -x -d 'Who may'
complete -c hypergate -n $without -l unlimitedSecret -x -d 'What tokens of clients are made with'
complete -c hypergate -n $without -l unlimitedPort -x -d 'Where they bring them'
complete -c hypergate -n $without -l unlimitedHost -x -d 'At this address'
complete -c hypergate -n $without -l docker -F -d 'Services of containers, and names among them'
complete -c hypergate -n $without -l network -xa hypergatenet -d 'On this network'
complete -c hypergate -n $without -l image -xa hypergate -d 'With helpers of this image'
complete -c hypergate -n $without -l refreshTime -x -d 'Between two looks when nothing happens'
complete -c hypergate -n $without -l exposeOnlyDocker -xa 'true false' -d 'Services of containers alone'
complete -c hypergate -n $without -l exposeOnlyPublished -xa 'true false' -d 'Published services alone'
complete -c hypergate -n $without -l exposeOnlyServices -x -d 'Services of these hosts alone'
complete -c hypergate -n $without -l channelTimeoutPollMs -x -d 'Without effect'
complete -c hypergate -n $without -l findRouteRetryMinMs -x -d 'Without effect'
complete -c hypergate -n $without -l findRouteRetryMaxMs -x -d 'Without effect'
complete -c hypergate -n $without -l peerStaleMs -x -d 'Without effect'
complete -c hypergate -n $without -l peerRefreshWaitMs -x -d 'Without effect'
complete -c hypergate -n $without -l openRequestTimeoutMs -x -d 'How long a provider may take to answer'
complete -c hypergate -n $without -l routeExpirationMs -x -d 'How long routes count'
complete -c hypergate -n $without -l statsIntervalMs -x -d 'Between two lines about what was carried'
complete -c hypergate -n $without -l maxBufferPerChannel -x -d 'Kept of a channel until it is taken'
complete -c hypergate -n $without -l maxBufferPerPeer -x -d 'Kept of a peer until it is taken'
complete -c hypergate -n $without -l peerRefreshMs -x -d 'Without effect'
complete -c hypergate -n $without -l version -d 'Print the version'
complete -c hypergate -l help -d 'Print a summary'
