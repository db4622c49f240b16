#!/usr/bin/env bash
# Breaks the code in every way listed, one at a time, and expects the tests to notice.
#
#   tests/mutations/run.sh [SUBJECT…]   run these (default: all); prints `N caught, N survived`, writes docs/mutations/SUBJECT.md; non-zero if any survives
#   tests/mutations/run.sh --check [SUBJECT…]   only compares the sources with those of the last results
#   MUTANT=exact/range:true tests/mutations/run.sh tool-calls    one mutant, with the output of its tests
#   JOBS=2                              test processes at a time (default: the number of processors)
#
# A subject is a folder here: subject.sh says what is broken and by which tests, rules.txt lists the changes. All mutants of a subject are compiled
# once, into a copy of the sources: each mutation point becomes `(Mutation.Is("n") ? mutant : original)`, and the environment says which one is
# alive. A point whose text is not in the source exactly once ends the run, so the list cannot rot unseen.
set -euo pipefail
export LC_ALL=C.UTF-8 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/mutations
fail() { printf 'mutations: %s\n' "$*" >&2; exit 2; }

check=false
[[ ${1:-} != --check ]] || { check=true; shift; }
subjects=("$@")
[[ $# -gt 0 ]] || for folder in "$here"/*/; do subjects+=("$(basename "$folder")"); done
if [[ ${#subjects[@]} -gt 1 ]]; then # each in a process of its own
    status=0
    for subject in "${subjects[@]}"; do
        if $check; then "$0" --check "$subject" || status=1; else "$0" "$subject" || status=1; fi
    done
    exit $status
fi
subject=${subjects[0]}
[[ -f $here/$subject/subject.sh ]] || fail "there is no subject $subject"
report=$root/docs/mutations/$subject.md

# --- what the subject says ---------------------------------------------------------------------------------------------------
#   title, about   of the report
#   project        under src, copied whole; code: its folder that file names of the rules are relative to
#   tests          folders under tests/$project.Tests that are compiled, or `.`
#   packages, references   of the test project beyond xunit; copies: what the references need beside themselves
#   hashed         what a result is a result of, beside the rules
#   more           a function that may add mutants: calls substitute FILE ANCHOR REPLACEMENT and mutant NAME FILTER WHAT
code='' packages='' references='' copies='' about='' others=''
more() { :; }
# shellcheck disable=SC1090
source "$here/$subject/subject.sh"

sources() { # one hash over all that decides the result
    (cd "$root" && { for folder in "${hashed[@]}"; do find "$folder" -type f -not -path '*/bin/*' -not -path '*/obj/*'; done
        find tests/mutations/run.sh "tests/mutations/$subject" -type f; } | sort -u | xargs sha256sum | sha256sum | cut -d' ' -f1)
}

if $check; then
    grep -qF "$(sources)" "$report" 2>/dev/null || fail "docs/mutations/$subject.md is of other sources: run ./test mutations $subject"
    echo "docs/mutations/$subject.md is of these sources"
    exit 0
fi

hash=$(sources) # before, not after: what is edited meanwhile was not run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src" "$work/tests/$project.Tests" "$work/log"
cp "$root"/{Directory.Build.props,Directory.Packages.props,global.json,BannedSymbols.txt,.editorconfig} "$work/"
copy() { (cd "$root" && tar cf - --exclude=bin --exclude=obj --exclude=packages.lock.json "$@") | tar xf - -C "$work"; }
copy "src/$project"
for folder in $tests; do copy "tests/$project.Tests/$folder"; done
include=''
for folder in $copies; do copy "$folder"; done
for reference in $references; do
    copy "$reference"
    include+="<ProjectReference Include=\"../../$reference/$(basename "$reference").csproj\" />"
done
for package in $packages; do include+="<PackageReference Include=\"$package\" />"; done
rm -f "$work/tests/$project.Tests/"*.csproj
cat > "$work/tests/$project.Tests/$project.Tests.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <ItemGroup>
    <PackageReference Include="Microsoft.NET.Test.Sdk" />
    <PackageReference Include="xunit" />
    <PackageReference Include="xunit.runner.visualstudio" PrivateAssets="all" />
    <Using Include="Xunit" />
    <ProjectReference Include="../../src/$project/$project.csproj" />
    $include
  </ItemGroup>
</Project>
PROJECT

cat > "$work/src/$project/Mutation.cs" <<CODE
namespace $project;

internal static class Mutation
{
    private static readonly string? Alive = System.Environment.GetEnvironmentVariable("MCPAUTH_MUTANT");

    public static bool Is(string name) => name == Alive;
}
CODE

mutants=$work/mutants # name, filter, what it does; tab-separated
: > "$mutants"
mutant() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$mutants"; }

# substitute FILE ANCHOR REPLACEMENT: literal; the anchor must be there exactly once.
substitute() {
    local file=$work/src/$project/$code$1 anchor=$2 text rest
    text=$(<"$file")
    rest=${text#*"$anchor"}
    [[ $rest != "$text" ]] || fail "$1: not found: $anchor"
    [[ ${rest#*"$anchor"} == "$rest" ]] || fail "$1: found more than once: $anchor"
    printf '%s\n' "${text%%"$anchor"*}$3$rest" > "$file"
}

number=0
while IFS= read -r line; do
    [[ -z $line || $line == \#* ]] && continue
    file=${line%%' | '*}; line=${line#*' | '}
    filter=${line%%' | '*}; line=${line#*' | '}
    anchor=${line%%' | '*}; replacements=${line#*' | '}
    [[ $anchor == *'«'*'»'* && $replacements != "$line" ]] || fail "rules.txt: not a rule: $line"
    before=${anchor%%'«'*}; after=${anchor##*'»'}; original=${anchor#*'«'}; original=${original%'»'*}
    mutated="($original)"
    while [[ -n $replacements ]]; do
        replacement=${replacements%%' ¦ '*}
        [[ $replacement == "$replacements" ]] && replacements='' || replacements=${replacements#*' ¦ '}
        number=$((number + 1))
        name=$(printf '%s:%02d' "${file%.cs}" "$number")
        mutated="(Mutation.Is(\"$name\") ? $replacement : $mutated)"
        mutant "$name" "FullyQualifiedName~$filter" "$original  →  $replacement"
    done
    substitute "$file" "$before$original$after" "$before$mutated$after"
done < "$here/$subject/rules.txt"
more

echo "$subject: building $(wc -l < "$mutants") mutants"
timeout 600 dotnet build "$work/tests/$project.Tests" -m:1 -v q -p:RestorePackagesWithLockFile=false -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false \
    -p:GenerateDocumentationFile=false -p:EnforceCodeStyleInBuild=false > "$work/build.log" 2>&1 ||
    { grep -E 'error' "$work/build.log" | sort -u | head -20 >&2; fail "the mutants do not compile"; }
assembly=$work/tests/$project.Tests/bin/Debug/net10.0/$project.Tests.dll
[[ -f $assembly ]] || fail "no $assembly"

run() { # NAME FILTER: prints caught, survived, or broken
    local log=$work/log/${1//\//_} status=0
    MCPAUTH_MUTANT=$1 timeout 120 dotnet test "$assembly" --filter "$2" -- xUnit.StopOnFail=true > "$log" 2>&1 || status=$?
    if [[ $status == 0 ]] && grep -q '^Passed!' "$log"; then echo survived
    elif [[ $status == 1 ]] && grep -q '^Failed!.*Failed: *[1-9]' "$log"; then echo caught
    else echo broken; fi
}
export -f run
export work assembly MCPAUTH_VECTORS=${MCPAUTH_VECTORS:-$root/../shared/vectors}

all=$(cut -f2 "$mutants" | sort -u | paste -sd'|')
[[ $(run none "$all") == survived ]] || { tail -20 "$work/log/none" >&2; fail "the tests fail without any mutant"; }

if [[ -n ${MUTANT:-} ]]; then
    filter=$(awk -F'\t' -v name="$MUTANT" '$1 == name { print $2 }' "$mutants")
    [[ -n $filter ]] || { cut -f1,3 "$mutants"; fail "no mutant $MUTANT; these are all"; }
    verdict=$(run "$MUTANT" "$filter")
    cat "$work/log/${MUTANT//\//_}"
    echo "$MUTANT: $verdict"
    [[ $verdict == caught ]]
    exit
fi

one() { # a line of the list
    local name filter what verdict
    IFS=$'\t' read -r name filter what <<< "$1"
    verdict=$(run "$name" "$filter")
    [[ $verdict != broken ]] || verdict=$(run "$name" "$filter") # a starved test host says nothing about the mutant
    printf '%s\t%s\t%s\n' "$verdict" "$name" "$what"
}
export -f one
tr '\n' '\0' < "$mutants" | xargs -0 -P "${JOBS:-$(nproc)}" -I{} bash -c 'one "$1"' _ {} > "$work/results"

count() { grep -c "^$1"$'\t' "$work/results" || true; }
caught=$(count caught) survived=$(count survived) broken=$(count broken)
[[ $((caught + survived + broken)) == $(wc -l < "$mutants") ]] || fail "some mutants were not run"
if [[ $broken != 0 ]]; then
    while IFS=$'\t' read -r _ name what; do
        printf '%s  %s\n' "$name" "$what"
        tail -5 "$work/log/${name//\//_}"
    done < <(grep '^broken' "$work/results") >&2
    fail "$broken mutants could not be decided (a crash, a timeout, or no test under that name)"
fi

{
    printf '# %s\n\nWritten by `./test mutations %s`. %s\n\n' "$title" "$subject" "$about"
    printf -- '- Result: **%d caught, %d survived**\n- Sources (a test compares): `%s`\n\n' "$caught" "$survived" "$hash"
    printf '| where | mutants | caught |\n|---|---|---|\n'
    awk -F'\t' -v others="$others" '{ n = split($2, part, ":"); group = others != "" && $2 ~ /\/.*:/ && $2 !~ /:[0-9]+$/ ? others : part[1] ".cs"; all[group]++; hit[group] += $1 == "caught" }
        END { for (group in all) printf "| %s | %d | %d |\n", group, all[group], hit[group] }' "$work/results" | sort
    if [[ $survived != 0 ]]; then
        printf '\nSurvivors:\n\n'
        awk -F'\t' '$1 == "survived" { printf "- `%s`: `%s`\n", $2, $3 }' "$work/results" | sort
    fi
} > "$work/report.md"
mkdir -p "$root/docs/mutations"
cp "$work/report.md" "$report"
awk -F'\t' '$1 == "survived" { printf "survived: %s  %s\n", $2, $3 }' "$work/results" | sort
echo "$subject: $caught caught, $survived survived"
[[ $survived == 0 ]]
