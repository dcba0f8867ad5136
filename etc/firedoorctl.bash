# bash completion for firedoorctl.  Commands and options come from the server, so they are those of
# the server that runs; without one there is nothing to complete.
_firedoorctl() {
    local word=${COMP_WORDS[COMP_CWORD]} i
    local -a socket=() said=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket)
                socket=(--socket "${COMP_WORDS[i + 1]}")
                i=$((i + 1))
                ;;
            --output) i=$((i + 1)) ;;
            --json | --quiet | --password-stdin) ;;
            *) said+=("${COMP_WORDS[i]}") ;;
        esac
    done
    case ${COMP_WORDS[COMP_CWORD - 1]} in
        --socket | --output)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
    esac
    local -a words
    mapfile -t words < <("${COMP_WORDS[0]}" "${socket[@]}" complete "${said[@]}" 2> /dev/null)
    mapfile -t COMPREPLY < <(compgen -W "${words[*]} --json --quiet --socket --output --password-stdin --help" -- "$word")
    if [ "${said[0]-}" = import ]; then
        local -a files
        mapfile -t files < <(compgen -f -- "$word")
        COMPREPLY+=("${files[@]}")
    fi
}
complete -o filenames -F _firedoorctl firedoorctl
