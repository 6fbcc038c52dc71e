# prepare.sh - for speed.sh and same.sh, which read it with HOST and PYTHON as their arguments: the folder of work, the device, models, pictures.
#
# BENCH_DEVICE   cpu; gpu or a part of its name; portable: the CPU as a device of which nothing is known, by the kernels that every device runs
# BENCH_SIZE     real; small: models of two narrow layers, to try the scripts with
# Where the device is no CPU, PyTorch works on CUDA, if it sees a GPU.
host=$(realpath "$1") python=$2
cd "$(dirname "$0")/../../.."
here=tests/bench/looking work=build/bench/looking size=${BENCH_SIZE:-real}
mkdir -p "$work"
run=$(mktemp -d "$work/run.XXXXXX")
trap 'rm -rf "$run"' EXIT
export LOOK_DEVICE=${BENCH_DEVICE:-cpu} CALOTYPE_TEST_TMP=$run/store
ours() { "$host" "$here/ours.lua" >"$run/ours" 2>&1 && grep '^{' "$run/ours" || { cat "$run/ours" >&2; return 1; }; }
theirs() { "$python" "$here/peer.py" "$@" 2>"$run/theirs" || { cat "$run/theirs" >&2; return 1; }; }
models() { "$python" "$here/models.py" "$@" >"$run/models" 2>&1 || { cat "$run/models" >&2; return 1; }; }

there=$(LOOK_WHAT=device ours)
case $there in *'"missing"'*)
  echo "nothing was measured: $(echo "$there" | sed 's/.*"missing":"\(.*\)".*/\1/; s/\\"/"/g')"
  exit 1 ;;
esac
peer=cpu # "" where there is none
case $LOOK_DEVICE in
  cpu | portable) ;;
  *) peer=$(theirs device | grep gpu || true) ;;
esac
threads=${OMP_NUM_THREADS:-$(nproc)}
echo "on $(echo "$there" | sed 's/.*"device":"\(.*\)".*/\1/')${peer:+, PyTorch on its ${peer/cpu/CPU}}, $threads threads"

# The folder of a model, made once; with a dtype the copy for the peer, whose weights lie in the file as it computes with them.
model() { # kind [dtype]
  local kind=$1 dtype=${2:-f32}
  [ "$size" = real ] || kind=$kind-small
  local folder=$work/$kind
  [ -d "$folder" ] || models make "$kind" "$folder"
  [ "$dtype" = f32 ] || folder=$folder-$dtype
  [ -d "$folder" ] || models copy "${folder%-*}" "$dtype"
  echo "$folder"
}
what_of() { case $1 in wd14) echo tag ;; blip-itm) echo match ;; *) echo caption ;; esac; }
[ -d "$work/pictures" ] || models draw "$work/pictures"
