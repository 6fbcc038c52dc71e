-- A disk that fills up: one sentence with the next step, nothing half of what was being written, what was there before whole, and the
-- next run goes on. The disk is a small tmpfs in a namespace of its own, which root and most users may make.
local fs = require "native.fs"
local recipes = dofile "tests/recipes.lua"

local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()

local function shell(command)
  local out = io.popen("{ " .. command .. "; } 2>&1")
  local text = out:read "a"
  out:close()
  return text
end

local NAMESPACE = "unshare -m"
local function can(how) return shell(how .. " sh -c 'mount -t tmpfs -o size=64k none /tmp && mount -o remount,size=128k /tmp && echo fine'"):find("fine", 1, true) end
if not can(NAMESPACE) then NAMESPACE = can "unshare -Urm" and "unshare -Urm" or nil end

local PARTS = [[
cd "$FOLDER" || exit
export CALOTYPE_STORE=disk/store
run() { "$PROGRAM" run recipe.lua "$@" >log 2>&1; code=$?; }
disk() { mkdir -p disk; mount -t tmpfs -o size="$1"k none disk || echo "BAD no disk"; }
free() { mount -o remount,size="$1"k disk || echo "BAD not resized"; }
used() { df -k disk | awk 'END { print $3 }'; }
# Every file is that of a whole run, now or before; nothing temporary is left; a folder has all or nothing.
whole() {
  (cd disk/out 2>/dev/null && find . -type f) >files
  while read -r f; do
    case $f in
      *.html) tail -n 1 "disk/out/$f" | grep -qx "</html>" || echo "BAD $1: $f is cut" ;;
      *) cmp -s "disk/out/$f" "new/$f" || cmp -s "disk/out/$f" "old/$f" || echo "BAD $1: $f is not whole" ;;
    esac
  done <files
  find disk -name '*.tmp' | sed "s/^/BAD $1: left /"
  for f in k/1_zkr s; do
    n=$(ls "disk/out/$f" 2>/dev/null | wc -l)
    [ -z "${PICTURES:-}" ] || [ "$n" = 0 ] || [ "$n" = $((2 * PICTURES)) ] || echo "BAD $1: $n files in $f"
  done
}
told() {
  [ "$code" = 1 ] || { echo "BAD $1: exit $code"; cat log; }
  grep -q "the disk.* is full; make room and run again" log || { echo "BAD $1: says"; cat log; }
  [ "$(grep -c "^error: " log)" = 1 ] || { echo "BAD $1: not one error"; cat log; }
}
went_on() {
  [ "$code" = 0 ] || { echo "BAD $1: then exit $code"; cat log; }
  (cd new && find . -type f) | while read -r f; do
    case $f in *.html) [ -f "disk/out/$f" ] ;; *) cmp -s "disk/out/$f" "new/$f" ;; esac || echo "BAD $1: $f is not made afterwards"
  done
  find disk/out -type d -empty | sed "s/^/BAD $1: empty /"
}
]]

local function on_small_disk(place, script, settings)
  place.write("script.sh", PARTS .. script)
  local text = shell(("%s FOLDER=%s PROGRAM=%s %s sh %s/script.sh"):format(settings or "", place.folder, program:find "^/" and program
    or "$PWD/" .. program, NAMESPACE, place.folder))
  check.ok(not text:find "BAD", text)
  return text
end

local function disk_test(name, fn)
  test(name, function()
    if not NAMESPACE then skip "needs root, or a kernel that lets users make namespaces and resize a tmpfs in one" end
    fn()
  end)
end

local PICTURES = 6
local function new()
  local place = recipes.new(tmp "disk")
  for i = 1, PICTURES do place.photo(("p%d.png"):format(i), { seed = i, width = 90 + i, height = 70, cells = 40 }) end
  place.write("recipe.lua", [[
    local p = params { word = { "zkr" }, columns = { 6, min = 1, max = 9 }, text = { "a photo of {stem}, [trigger]" } }
    local hall = images "photos" :caption { with = template { text = p.text }, trigger = p.word }
    hall:sheet { to = "disk/out/sheet.png", columns = p.columns }
    hall:report { to = "disk/out/report.html" }
    hall:export { as = "replicate", to = "disk/out/a.zip" }
    hall:export { as = "kohya", to = "disk/out/k" }
    hall:export { as = "sidecars", to = "disk/out/s" }
  ]])
  return place
end

disk_test("a disk that is full at any point of a run: nothing half stays, and with room the run goes on", function()
  local text = on_small_disk(new(), [[
    mkdir disk; run; [ "$code" = 0 ] || { echo "BAD first run"; cat log; }
    all=$(du -sk --apparent-size disk | cut -f1)
    mv disk/out new; mkdir old; rm -r disk
    size=16
    while [ $size -lt $((all * 2)) ]; do
      disk $size
      run
      [ "$code" != 0 ] || { went_on "$size kB"; umount disk; echo "enough at $size"; break; }
      told "$size kB"; whole "$size kB"
      grep "^error" log
      free 65536
      run; went_on "$size kB"
      umount disk
      size=$((size + all / 22))
    done
  ]], "PICTURES=" .. PICTURES)
  check.contains(text, "enough at")
  for _, part in ipairs { "the store", "sheet.png was not written", "report.html was not written", "a.zip was not written", "disk/out/k", "disk/out/s" } do
    check.contains(text, part)
  end
end)

disk_test("a disk that is full while captions go beside the pictures: they are all old, and with room all new", function()
  local place = new()
  place.write("recipe.lua", [[
    local p = params { text = { "a photo of {stem}, [trigger]" } }
    images "disk/photos":caption { with = template { text = p.text }, trigger = "zkr" }:export { as = "sidecars", beside = true }
  ]])
  local text = on_small_disk(place, [[
    export CALOTYPE_STORE=store
    disk 65536; cp -r photos disk/photos
    run; [ "$code" = 0 ] || { echo "BAD at first"; cat log; }
    free $(($(used) + 12))
    run -p "text=another {stem}, [trigger]"
    told full
    grep "^error" log
    [ "$(cat disk/photos/*.txt | grep -c "photo of")" = 6 ] || echo "BAD not all are old"
    find disk -name '*.tmp' | sed "s/^/BAD left /"
    free 65536
    run -p "text=another {stem}, [trigger]"; [ "$code" = 0 ] || { echo "BAD then"; cat log; }
    [ "$(cat disk/photos/*.txt | grep -c another)" = 6 ] || echo "BAD not all are new"
    umount disk
  ]])
  check.contains(text, "was not written, and none of the 6 is changed")
end)

disk_test("a disk that is full when outputs are written again leaves the old ones whole", function()
  local text = on_small_disk(new(), [[
    mkdir disk; run; cp -r disk/out old; rm -r disk
    mkdir disk; run -p columns=2 -p "text=another {stem}, [trigger]"; cp -r disk/out new; rm -r disk
    for more in 4 24 60 100 140 180 220 260 300; do
      disk 65536
      run; [ "$code" = 0 ] || echo "BAD at first"
      free $(($(used) + more))
      run -p columns=2 -p "text=another {stem}, [trigger]"
      [ "$code" != 0 ] || { went_on "$more more"; echo "enough with $more"; umount disk; break; }
      told "$more more"; whole "$more more"
      [ "$(find disk/out -type f | wc -l)" = "$(find old -type f | wc -l)" ] || echo "BAD $more: another number of files"
      grep "^error" log
      free 65536
      run -p columns=2 -p "text=another {stem}, [trigger]"; went_on "$more more"
      umount disk
    done
  ]], "PICTURES=" .. PICTURES)
  check.contains(text, "error: ")
end)

disk_test("a disk too full for a thumbnail stops the run; no picture is rejected for it", function()
  local place = new()
  fs.make_folder(place.path "more")
  -- Noise makes thumbnails so large that what they do not find room for is enough for the store's own pages.
  for i = 1, 8 do place.write(("more/m%d.png"):format(i), recipes.picture({ seed = 100 + i, width = 256, height = 256, cells = 256 }):encode "png") end
  on_small_disk(place, [[
    mkdir new old
    for more in 140 180 220 260 300 380; do
      disk 65536; run
      cp more/*.png photos/; cp disk/out/a.zip before.zip
      free $(($(used) + more))
      run
      grep -q unreadable log && echo "BAD $more: taken for unreadable"
      told "$more"
      cmp -s before.zip disk/out/a.zip || echo "BAD $more: the zip was written"
      rm photos/m*.png; umount disk
    done
  ]])
end)

test("files that belong together come all or not at all; what was there before stays", function()
  local outputs, folder = require "recipe.outputs", tmp "bundle"
  check.ok(fs.write(folder .. "/k/1_a/old.txt", "old") and fs.write(folder .. "/k/1_a/same.txt", "same"))
  local same = fs.stat(folder .. "/k/1_a/same.txt").mtime_ns
  local context = { fail = function(message) error(message, 0) end }
  local bundle = outputs.bundle(context, folder .. "/k")
  bundle.write(folder .. "/k/1_a/new.txt", "new")
  bundle.write(folder .. "/k/2_b/deep/new.txt", "new")
  bundle.write(folder .. "/k/1_a/old.txt", "changed")
  bundle.write(folder .. "/k/1_a/same.txt", "same")
  check.equal(#bundle.files, 4)
  check.fails("stopped", bundle.fail, "stopped after 4", {})
  check.equal(#fs.list(folder .. "/k", true), 3)
  check.equal(fs.read(folder .. "/k/1_a/old.txt"), "changed")
  check.equal(fs.stat(folder .. "/k/1_a/same.txt").mtime_ns, same) -- what is right already is not written
  local first = outputs.bundle(context, folder .. "/fresh")
  first.write(folder .. "/fresh/a.txt", "a")
  check.fails("fresh/a.txt/b.txt was not written", first.write, folder .. "/fresh/a.txt/b.txt", "b")
  check.equal(fs.stat(folder .. "/fresh"), nil)
end)

test("words that cannot be printed are said", function()
  if not fs.stat "/dev/full" then skip "there is no /dev/full" end
  local text = shell(("%s help >/dev/full; echo exit $?"):format(program))
  check.contains(text, "not all that was to be printed could be written")
  check.contains(text, "exit 1")
end)

-- Training ---------------------------------------------------------------------------------------------------------------

local BASE = shell "cd tests/golden/tiny && pwd":gsub("%s+$", "")

local function training()
  if not require("native.device").open() then skip "needs an OpenCL device" end
  local place = recipes.new(tmp "training")
  for i = 1, 3 do place.photo(("p%d.png"):format(i), { seed = i, width = 40, height = 32 }) end
  place.write("recipe.lua", [[
    local p = params { steps = { 2, min = 1 }, base = { "]] .. BASE .. [[", kind = "folder" } }
    local photos = images "photos" :caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }
    local lora = photos:train_lora { base = p.base, resolution = 16, rank = 2, steps = p.steps, lr = 1e-2, device = "cpu",
      checkpoint = { every = 1, to = "disk/runs" } }
    lora:export { to = "disk/out/zkr.safetensors" }
  ]])
  return place
end

disk_test("a disk that is full while training keeps the last whole checkpoint, and the run goes on from it bit for bit", function()
  on_small_disk(training(), [[
    tensors() { tail -c "$(( $(stat -c %s "$1") - 8 - $(od -An -tu8 -N8 "$1") ))" "$1"; }
    mkdir disk new old; run -p steps=5; [ "$code" = 0 ] || { echo "BAD at first"; cat log; }
    tensors disk/out/zkr.safetensors >wanted; rm -r disk
    for more in 20 80 200 300 500 700; do
      disk 65536
      run; [ "$code" = 0 ] || { echo "BAD first steps"; cat log; }
      cp -r disk/runs before
      free $(($(used) + more))
      run -p steps=5
      if [ "$code" != 0 ]; then
        told "$more"
        find disk -name '*.tmp' | sed "s/^/BAD left /"
        for f in disk/runs/*/*.safetensors disk/runs/*/last.state; do "$PROGRAM" show "$f" >shown 2>&1 || { echo "BAD $more: $f"; cat shown; }; done
        free 65536
        run -p steps=5
        [ "$code" = 0 ] || { echo "BAD $more: then $code"; cat log; }
        grep -q "resuming at step [2345]" log || grep -q "5 steps, known" log || { echo "BAD $more: does not go on"; cat log; }
      else echo "enough with $more"
      fi
      tensors disk/out/zkr.safetensors | cmp -s - wanted || echo "BAD $more: another LoRA"
      rm -r before; umount disk
    done
  ]])
end)

disk_test("weights whose file ends while they are read are a sentence, not a crash", function()
  local text = on_small_disk(training(), [[
    mkdir disk; run; rm -rf disk; disk 8192
    cp -r "]] .. BASE .. [[" disk/base; v=disk/base/vae/diffusion_pytorch_model.safetensors; size=$(stat -c %s "$v")
    head -c $(( $(od -An -tu8 -N8 "$v") + 8 )) "$v" >head; cp head "$v"; truncate -s "$size" "$v"   # a hole that the full disk cannot fill
    free $(($(used) + 4)); dd if=/dev/zero of=disk/fill bs=1k >dd 2>&1
    CALOTYPE_STORE=store; run -p base=disk/base; echo "exit $code"; cat log
  ]])
  check.contains(text, "error: a file became shorter while it was being read, or its disk failed; run again")
  check.contains(text, "exit 1")
end)
