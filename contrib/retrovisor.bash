# SPDX-License-Identifier: Apache-2.0
# Completion for bash: source it, or install it as /usr/share/bash-completion/completions/retrovisor.
_retrovisor() {
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} machine jit pair words
	machine='--kernel= --initrd= --append= --memory= --cpus= --serial= --engine= --clock= --time-dilation=
		--seed= --max-icount= --date= --clock-catch-up --sync= --no-reboot --sandbox= --stats --gdb= --gdb-wait --checkpoint-every=
		--disk= --net= --hvc= --keep= --ctl= --on-panic= --chaos'
	pair='--backup= --psk= --cert= --key= --ca= --arbiter= --pair= --timeout= --max-lag= --fence= --metrics='
	jit='--jit= --code-cache= --jit-dump='
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'run record replay verify info dump debug export pack unpack ctl resume primary backup help' -- "$cur")
		return
	fi
	case $command in
	run) words="$machine $jit" ;;
	record) words="-o $machine $jit" ;;
	replay) words="--until= --gdb= --no-console --sandbox= --stats --base= $jit" ;;
	verify) words="--sandbox= --stats --base= $jit" ;;
	export) words="--pcap= --console= --timeline= --base= $jit" ;;
	resume) words="-o --base= $machine $jit" ;;
	primary) words="$pair $machine $jit" ;;
	backup) words="--listen= --disk= --net= --serial= --hvc= --ctl= --stats --sandbox= $pair $jit" ;;
	ctl) words='stats mark checkpoint save switch stop' ;;
	info) words=--json ;;
	dump) words=--from= ;;
	debug) words="--symbols= --at= -x --batch --gdb= --checkpoint-memory= --sandbox= --base= $jit" ;;
	help) words='run record replay verify info dump debug export pack unpack ctl resume primary backup' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace
}
complete -o default -F _retrovisor retrovisor
