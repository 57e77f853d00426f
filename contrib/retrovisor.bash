# SPDX-License-Identifier: Apache-2.0
# Completion for bash: source it, or install it as /usr/share/bash-completion/completions/retrovisor.
_retrovisor() {
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} machine jit words
	machine='--kernel= --initrd= --append= --memory= --cpus= --serial= --engine= --clock= --time-dilation=
		--seed= --max-icount= --date= --clock-catch-up --sync= --no-reboot --sandbox= --stats --gdb= --gdb-wait --checkpoint-every='
	jit='--jit= --code-cache= --jit-dump='
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'run record replay verify info dump debug help' -- "$cur")
		return
	fi
	case $command in
	run) words="$machine $jit" ;;
	record) words="-o $machine $jit" ;;
	replay) words="--until= --gdb= --no-console --sandbox= --stats $jit" ;;
	verify) words="--sandbox= --stats $jit" ;;
	info) words=--json ;;
	dump) words=--from= ;;
	debug) words="--symbols= --at= -x --batch --gdb= --checkpoint-memory= --sandbox= $jit" ;;
	help) words='run record replay verify info dump debug' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace
}
complete -o default -F _retrovisor retrovisor
