# shellcheck shell=bash
# Completion for recvshim. It has no lists of its own: options are those of `recvshim COMMAND --help', and what an option
# accepts is asked by giving it a question mark, which the command refuses with what it would have taken.

# What the command says. It gets neither a trace nor a program, so it does nothing.
__recvshim_say()
{
    "${words[0]/#\~/$HOME}" "$@" 2>&1 </dev/null
}

# Its help, without what the loader or others may say of it on stderr before.
__recvshim_help()
{
    "${words[0]/#\~/$HOME}" "$@" --help 2>/dev/null </dev/null
}

__recvshim_subcommands()
{
    __recvshim_help | sed -nE 's/^  ([a-z]+) +[^ ].*/\1/p'
}

# The options of a subcommand, one on a line: -o=FILE, --output=FILE, --help.
__recvshim_options()
{
    __recvshim_help "$1" |
        sed -nE 's/^ {2,6}((-[^ ]), )?(--[a-z-]+)(=([^ ]+))?( .*)?$/\3\4 \2\4/p' | grep -oE -- '-[^ ]+'
}

# What would have been accepted instead of a question mark, as the message has it; and the single words of that.
__recvshim_accepted()
{
    __recvshim_say "$@" | sed -nE 's/.*(must be|expected) //p'
}
__recvshim_words()
{
    __recvshim_accepted "$@" | sed -E 's/, or a list of |, with a |, ?| or /\n/g' | grep -xE '[a-z][a-z-]*'
}

# Replies that go on as $value does: __recvshim_reply BEFORE WORD..., where BEFORE is the part of it before the word.
# Bash takes a word to begin anew behind each = and :, unless it is quoted.
__recvshim_reply()
{
    local before=$1 word broken=
    $quoted || broken=${value%"${value##*[=:]}"}
    shift
    for word; do
        [[ $before$word != "$value"* ]] || COMPREPLY+=("${before#"$broken"}${word}")
    done
}

# The same for the next item of a list, without those that it has.
__recvshim_reply_list()
{
    local before=$1${value#"$1"} word rest=()
    before=${before%"${before##*[:,]}"}
    shift
    for word; do
        [[ ,$before == *",$word,"* || ($before == *, && $word == @(all|\*)) ]] || rest+=("$word")
    done
    __recvshim_reply "$before" "${rest[@]}"
    compopt -o nospace
}

# Processes that have the library mapped, as far as this user may see.
__recvshim_processes()
{
    grep -ls librecvshim /proc/[0-9]*/maps 2>/dev/null | cut -d/ -f3
}

__recvshim_rule()
{
    local part=${value##*:} before names=()
    before=${value%"$part"}
    compopt -o nospace
    case $before in
    '') # CALLS
        mapfile -t names < <(__recvshim_accepted run '--fault=?:eof' | grep -oE '[a-z]+,|[a-z]+$' | tr -d ,)
        __recvshim_reply_list '' '*' "${names[@]}"
        return ;;
    *:*:) mapfile -t names < <(__recvshim_accepted run '--fault=*:eof:?' | sed 's/, /\n/g') ;;
    *) mapfile -t names < <(__recvshim_accepted run '--fault=*:?' | sed 's/, /\n/g') ;;
    esac
    local name hint choices
    for name in "${names[@]}"; do
        hint=${name#"${name%%=*}"} name=${name%%=*} choices=()
        if [[ $part != *=* ]]; then
            __recvshim_reply "$before" "$name${hint:+=}"
        elif [[ $name == error ]]; then # those of recv(2), tcp(7) and ip(7)
            __recvshim_reply "$before$name=" EAGAIN ECONNABORTED ECONNREFUSED ECONNRESET EHOSTUNREACH EINTR EIO \
                ENETDOWN ENETUNREACH ENOMEM ENOTCONN EPIPE ETIMEDOUT
        elif [[ $hint == *'|'* ]]; then
            IFS='|' read -r -a choices <<<"${hint#=}"
            __recvshim_reply "$before$name=" "${choices[@]}"
        fi
    done
}

# The value of an option: __recvshim_value SUBCOMMAND OPTION NAME-OF-VALUE
__recvshim_value()
{
    local found=()
    case $3 in
    FILE) cur=$value _filedir; return ;;
    RULE) __recvshim_rule; return ;;
    BYTES | SECONDS | TIME | ADDRESS*) return ;; # numbers, times, addresses: too many
    PID) mapfile -t found < <(__recvshim_processes) ;;
    SIGNALS) mapfile -t found < <(compgen -A signal SIG | sed -nE 's/^SIG([A-Z]+[0-9]*([+-][0-9]+)?)$/\1/p' |
        grep -vxE 'KILL|STOP') ;;
    *) mapfile -t found < <(__recvshim_words "$1" "$2=?") ;;
    esac
    [[ $2 != --pid ]] || mapfile -t found < <(__recvshim_processes)
    case $3 in
    LIST | SIGNALS) __recvshim_reply_list '' "${found[@]}" ;;
    *) __recvshim_reply '' "${found[@]}" ;;
    esac
}

# Traces, which begin with their name, and directories; any file where there is no trace.
__recvshim_traces()
{
    local file magic traces=()
    _filedir
    for file in "${COMPREPLY[@]}"; do
        magic=
        [[ -d ${file/#\~/$HOME} ]] || LC_ALL=C read -r -N 8 magic 2>/dev/null <"${file/#\~/$HOME}"
        [[ -d ${file/#\~/$HOME} || $magic == recvshim ]] && traces+=("$file")
    done
    ((${#traces[@]} == 0)) || COMPREPLY=("${traces[@]}")
}

# The place in COMP_WORDS of the word $1 of `words', where those that bash took apart are whole.
__recvshim_place()
{
    local word at=0 whole
    for word in "${words[@]:0:$1}"; do
        whole=${COMP_WORDS[at++]}
        while [[ $whole != "$word" && $at -lt $COMP_CWORD ]]; do
            whole+=${COMP_WORDS[at++]}
        done
    done
    echo "$at"
}

_recvshim()
{
    local cur prev words cword
    _init_completion -n =: || return
    local subcommand=${words[1]} value=$cur quoted=false
    if ((cword == 1)) || [[ $subcommand == help ]]; then
        local names
        mapfile -t names < <(__recvshim_subcommands)
        ((cword > 1)) || names+=(help --help --version)
        ((cword > 2)) || __recvshim_reply '' "${names[@]}"
        return
    fi

    local -A options=() # each with the name of its value
    local option
    while IFS= read -r option; do
        options[${option%%=*}]=
        [[ $option != *=* ]] || options[${option%%=*}]=${option#*=}
    done < <(__recvshim_options "$subcommand")
    ((${#options[@]} > 0)) || return
    local argument
    argument=$(__recvshim_help "$subcommand" | sed -nE '1s/.*\[OPTION\.\.\.\] ([A-Z]+).*/\1/p')

    # What is no option ends the options of `run', as -- does everywhere.
    local at ended=false
    for ((at = 2; at < cword; at++)); do
        case ${words[at]} in
        --) ended=true && ((at++)) && break ;;
        -*) [[ -z ${options[${words[at]}]-} ]] || ((at++)) ;;
        *) [[ $argument != COMMAND ]] || { ended=true && break; } ;;
        esac
    done
    if [[ $argument == COMMAND && ($ended == true || ($at -eq $cword && $cur != -*)) ]]; then
        _command_offset "$(__recvshim_place "$at")"
        return
    fi

    option=
    if ! $ended; then
        [[ -z ${options[$prev]-} ]] || option=$prev
        [[ $cur != --*=* ]] || { option=${cur%%=*} && value=${cur#*=}; }
    fi
    if [[ $value == [\'\"]* ]]; then
        quoted=true
        value=${value:1}
    fi
    if [[ -n $option ]]; then
        __recvshim_value "$subcommand" "$option" "${options[$option]-}"
    elif [[ $cur == -* ]] && ! $ended; then
        for option in "${!options[@]}"; do
            [[ $option != --* ]] || __recvshim_reply '' "$option${options[$option]:+=}"
        done
        [[ ${COMPREPLY[*]-} != *= ]] || compopt -o nospace
    elif [[ $argument == TRACE ]]; then
        __recvshim_traces
    elif [[ $argument == PROGRAM ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -c -f -- "$cur" | sort -u)
    fi
}

complete -F _recvshim recvshim
