# Bash completion for convcli, written by `convcli completion bash`: generated, do not edit; it starts no process.
# Put it into ~/.local/share/bash-completion/completions/convcli, or source it.

# What a command knows: its options, and the words and paths that it takes.
_convcli_command() {
    case $1 in
    conv2d) options='-k --kernel --combine --normalize --flip --origin --layer -s --stride -p --padding -b --border -d --dilation -g --groups --region --channels --mask --mask-reads --threshold -t --dtype --precision --range --bias --nan --min-weight --nodata --alpha --linear --scale -o --output --parents --files-from -0 --null -r --recursive --pattern --format -f --force --in-place --png --quality --compression --predictor --tile --cog --chunks --shards --levels --axes --spacing --pages --frames --series --lenient --auto-orient --max-pixels -m --method --tolerance --threads -j --jobs --memory --verify --strict --keep-going --fail-fast --resume --journal --scheduler --dry-run --explain -q --quiet -v --verbose --json --preview --report --help-all -h --help' words= paths=file ;;
    conv3d) options='-k --kernel --combine --normalize --flip --origin --layer -s --stride -p --padding -b --border -d --dilation -g --groups --region --channels --mask --mask-reads --threshold -t --dtype --precision --range --bias --nan --min-weight --nodata --alpha --linear --scale -o --output --parents --files-from -0 --null -r --recursive --pattern --format -f --force --in-place --png --quality --compression --predictor --tile --cog --chunks --shards --levels --axes --spacing --pages --frames --series --lenient --auto-orient --max-pixels -m --method --tolerance --threads -j --jobs --memory --verify --strict --keep-going --fail-fast --resume --journal --scheduler --dry-run --explain -q --quiet -v --verbose --json --preview --report --help-all -h --help' words= paths=file ;;
    upsample) options='-k --kernel --layer --scale -s --stride -p --padding --output-padding --output-size -d --dilation -g --groups -b --border --normalize --flip --3d -t --dtype --precision --range --bias --nan --min-weight --nodata --alpha --linear -o --output --parents --files-from -0 --null -r --recursive --pattern --format -f --force --in-place --png --quality --compression --predictor --tile --cog --chunks --shards --levels --axes --spacing --pages --frames --series --lenient --auto-orient --max-pixels -m --method --tolerance --threads -j --jobs --memory --verify --strict --keep-going --fail-fast --resume --journal --scheduler --dry-run --explain -q --quiet -v --verbose --json --preview --report --help-all -h --help' words= paths=file ;;
    separable) options='--depthwise --pointwise --multiplier -k --kernel --rank --save-factors --normalize --flip --origin --3d -s --stride -p --padding -b --border -d --dilation --region --channels --mask --mask-reads --threshold -t --dtype --precision --range --bias --nan --min-weight --nodata --alpha --linear --scale -o --output --parents --files-from -0 --null -r --recursive --pattern --format -f --force --in-place --png --quality --compression --predictor --tile --cog --chunks --shards --levels --axes --spacing --pages --frames --series --lenient --auto-orient --max-pixels -m --method --tolerance --threads -j --jobs --memory --verify --strict --keep-going --fail-fast --resume --journal --scheduler --dry-run --explain -q --quiet -v --verbose --json --preview --report --help-all -h --help' words= paths=file ;;
    dilate) options='--rate --rates --chain --3d -k --kernel --combine --normalize --flip --origin -s --stride -p --padding -b --border -g --groups --region --channels --mask --mask-reads --threshold -t --dtype --precision --range --bias --nan --min-weight --nodata --alpha --linear --scale -o --output --parents --files-from -0 --null -r --recursive --pattern --format -f --force --in-place --png --quality --compression --predictor --tile --cog --chunks --shards --levels --axes --spacing --pages --frames --series --lenient --auto-orient --max-pixels -m --method --tolerance --threads -j --jobs --memory --verify --strict --keep-going --fail-fast --resume --journal --scheduler --dry-run --explain -q --quiet -v --verbose --json --preview --report --help-all -h --help' words= paths=file ;;
    shapes) options='--want --inputs --file --from --assume-order --framework --no-bias --bn --pad --input --upto --depth --group --batch --dtype --explain --all --json --csv --markdown --emit --draw -f --force --at --draw-values --draw-kernel --help-all -h --help' words='conv3-64/2p1 tconv4-64/2p1 dw3ps pw-64 sep3-64ps max3/2p1 avg2 gap fc-1000 flatten attn8 attend2:1:1 tokens up2 bilinear2 shuffle2 unshuffle2 cshuffle2 slice0:32 pad1 crop2 bn gn in ln relu lrelu elu gelu silu hswish hsigmoid tanh sigmoid softmax prelu-64 id 1@64x64 as:1 from:1 again:1 cat:1 add:1 mul:1 vs' paths=file ;;
    flops) options='--with --budget --algorithms --file --from --assume-order --framework --no-bias --bn --pad --input --upto --depth --group --batch --dtype --explain --all --json --csv --markdown --emit --draw -f --force --help-all -h --help' words='conv3-64/2p1 tconv4-64/2p1 dw3ps pw-64 sep3-64ps max3/2p1 avg2 gap fc-1000 flatten attn8 attend2:1:1 tokens up2 bilinear2 shuffle2 unshuffle2 cshuffle2 slice0:32 pad1 crop2 bn gn in ln relu lrelu elu gelu silu hswish hsigmoid tanh sigmoid softmax prelu-64 id 1@64x64 as:1 from:1 again:1 cat:1 add:1 mul:1 vs' paths=file ;;
    kernels) options='--3d -o --output --spectrum -f --force --spacing --json --csv --markdown --help-all -h --help' words='identity box gaussian binomial disk ball laplacian log dog sharpen unsharp emboss motion gabor sobel prewitt scharr roberts kirsch nearest bilinear bicubic lanczos sobel:x prewitt:x scharr:x roberts:x sobel:y prewitt:y scharr:y roberts:y sobel:z prewitt:z scharr:z kirsch:nw kirsch:n kirsch:ne kirsch:e kirsch:se kirsch:s kirsch:sw kirsch:w' paths=file ;;
    tune) options='--show --reset --json --csv --markdown --help-all -h --help' words= paths= ;;
    completion) options='--help-all -h --help' words='bash zsh fish' paths= ;;
    help) options='--help-all -h --help' words='conv2d conv3d upsample separable dilate shapes flops kernels tune completion help' paths= ;;
    *) return 1 ;;
    esac
}

# What the value of an option may be; fails where it takes none.
_convcli_value() {
    case $1 in
    conv2d:-k|conv3d:-k|upsample:-k|dilate:-k|conv2d:--kernel|conv3d:--kernel|upsample:--kernel|dilate:--kernel|*:--depthwise) words='identity box gaussian binomial disk ball laplacian log dog sharpen unsharp emboss motion gabor sobel prewitt scharr roberts kirsch nearest bilinear bicubic lanczos sobel:x prewitt:x scharr:x roberts:x sobel:y prewitt:y scharr:y roberts:y sobel:z prewitt:z scharr:z kirsch:nw kirsch:n kirsch:ne kirsch:e kirsch:se kirsch:s kirsch:sw kirsch:w' paths=file ;;
    separable:-k|separable:--kernel|*:--layer|*:--mask|*:-o|*:--output|*:--files-from|*:--journal|*:--report|*:--pointwise|*:--save-factors|*:--file|*:--draw) words= paths=file ;;
    *:--combine) words='stack sum mean magnitude max' paths= ;;
    conv2d:--normalize|conv3d:--normalize|separable:--normalize|dilate:--normalize) words='none sum' paths= ;;
    upsample:--normalize) words='none sum overlap' paths= ;;
    *:--origin|*:-s|*:--stride|*:-d|*:--dilation|*:-g|*:--groups|*:--region|*:--threshold|*:--bias|*:--min-weight|*:--scale|*:--pattern|*:--quality|*:--tile|*:--chunks|*:--shards|*:--levels|*:--axes|*:--spacing|*:--series|*:--max-pixels|*:--tolerance|*:--threads|*:-j|*:--jobs|*:--memory|*:--output-padding|*:--output-size|*:--multiplier|*:--rank|*:--rate|*:--rates|*:--chain|*:--want|*:--pad|*:--input|*:--upto|*:--depth|*:--batch|*:--at|*:--draw-kernel|*:--budget) words= paths= ;;
    *:-p|*:--padding) words='same tf-same valid full' paths= ;;
    *:-b|*:--border) words='edge zero constant= reflect symmetric wrap nearest replicate clamp extend copy zeros black mirror reflect101 periodic circular tile' paths= ;;
    *:--channels) words='luma R G B A' paths= ;;
    *:--mask-reads) words='inside all' paths= ;;
    *:-t|conv2d:--dtype|conv3d:--dtype|upsample:--dtype|separable:--dtype|dilate:--dtype) words='auto same uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64' paths= ;;
    shapes:--dtype|flops:--dtype) words='fp32 fp16 int8' paths= ;;
    *:--precision) words='auto double' paths= ;;
    *:--range) words='clip abs rescale' paths= ;;
    *:--nan) words='keep ignore preserve zero error' paths= ;;
    *:--nodata) words='none nan inf -inf' paths= ;;
    *:--alpha) words='premultiply straight keep drop' paths= ;;
    *:--format) words='png jpeg tiff ome imagej cog webp bmp dib ico gif jp2 avif jxl jxr qoi hdr pgm ppm pnm pam nifti nrrd metaimage mrc mgh mgz nifti-gz npy npz csv tsv tga zarr ome-zarr' paths= ;;
    *:--png) words='fast balanced small' paths= ;;
    *:--compression) words='none deflate lzw zstd jpeg' paths= ;;
    *:--predictor) words='none horizontal float' paths= ;;
    *:--pages|*:--frames) words='all' paths= ;;
    *:-m|*:--method) words='auto direct separable gemm winograd minimal fft polyphase' paths= ;;
    *:--scheduler) words='local: tcp://' paths=file ;;
    *:--from) words='torch' paths= ;;
    *:--framework) words='torch tf' paths= ;;
    *:--group) words='scope kind' paths= ;;
    *:--with) words='bias bn act pool add all' paths= ;;
    *) return 1 ;;
    esac
}

# Offer words that go on as what is typed does; readline replaces only what stands behind the last break.
_convcli_offer() {
    local lead=$1 word
    for word in $2; do
        [[ $word == *:* && $whole != *:* ]] && continue
        [[ $lead$word == "$whole"* ]] && COMPREPLY+=("${lead}$word")
    done
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY == *= ]] && compopt -o nospace
    return 0
}

# Offer names of files beside words, or of folders alone; files alone are left to readline.
_convcli_paths() {
    local name
    shopt -q failglob && return
    [[ $1 == folder || ( $1 == file && ${#COMPREPLY[@]} != 0 ) ]] || return 0
    for name in "$piece"*; do
        [[ -d $name || ( -e $name && $1 == file ) ]] && COMPREPLY+=("$name")
    done
    compopt -o filenames
}

_convcli() {
    local IFS=$' \t\n' piece whole kept option word joined= ended= options= words= paths=
    local -a typed=()
    COMPREPLY=()
    for piece in "${COMP_WORDS[@]:1:COMP_CWORD}"; do  # readline breaks words at = and :
        if [[ ( $joined || $piece == [=:]* ) && ${#typed[@]} != 0 ]]; then
            typed[-1]+=$piece
        else
            typed+=("$piece")
        fi
        joined=
        [[ $piece == [=:] || $piece == :: ]] && joined=1
    done
    [[ $joined ]] && piece=
    whole=${typed[-1]} kept=${whole%"$piece"}
    if ((${#typed[@]} == 1)); then
        _convcli_offer "" 'conv2d conv3d upsample separable dilate shapes flops kernels tune completion help -h --help -V --version'
        return
    fi
    _convcli_command "${typed[0]}" || return
    for word in "${typed[@]:1:${#typed[@]}-2}"; do
        [[ $word == -- ]] && ended=1
    done
    option=${typed[-2]}
    if [[ ! $ended && $whole == --*=* ]] && _convcli_value "${typed[0]}:${whole%%=*}"; then
        _convcli_offer "${whole%%=*}=" "$words"
    elif [[ ! $ended && $option == -* ]] && _convcli_value "${typed[0]}:$option"; then
        _convcli_offer "" "$words"
    elif [[ ! $ended && $whole == -?* ]]; then
        paths=
        _convcli_offer "" "$options"
    else
        _convcli_offer "" "$words"
    fi
    [[ $piece == "${whole#--*=}" ]] && _convcli_paths "$paths"
    return 0
}

complete -o bashdefault -o default -F _convcli convcli
