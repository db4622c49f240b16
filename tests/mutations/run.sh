#!/usr/bin/env bash
# Breaks the subset rule of mcp_tool_call in every way listed, one at a time, and expects the tests to notice.
#
#   tests/mutations/run.sh            run all; prints `N caught, N survived`, writes docs/mutations.md; non-zero if any survives
#   tests/mutations/run.sh --check    only compares the sources with those of the last result in docs/mutations.md
#   MUTANT=exact/range:true tests/mutations/run.sh      one mutant, with the output of its tests
#   JOBS=2                            test processes at a time (default: the number of processors)
#
# All mutants are compiled once, into a copy of the sources: each mutation point becomes `(Mutation.Is("n") ? mutant : original)`, and the
# environment says which one is alive. A point whose text is not in the source exactly once ends the run, so the list cannot rot unseen.
set -euo pipefail
export LC_ALL=C.UTF-8 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rules=$root/tests/mutations/rules.txt
report=$root/docs/mutations.md
fail() { printf 'mutations: %s\n' "$*" >&2; exit 2; }

sources() { # one hash over all that decides the result
    (cd "$root" && find src/McpAuth.Protocol/ToolCalls src/McpAuth.Protocol/Text tests/McpAuth.Protocol.Tests/ToolCalls tests/mutations -type f |
        sort | xargs sha256sum | sha256sum | cut -d' ' -f1)
}

if [[ ${1:-} == --check ]]; then
    grep -qF "$(sources)" "$report" 2>/dev/null || fail "docs/mutations.md is of other sources: run tests/mutations/run.sh"
    echo "docs/mutations.md is of these sources"
    exit 0
fi

hash=$(sources) # before, not after: what is edited meanwhile was not run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src" "$work/tests/ToolCalls" "$work/log"
cp "$root"/{Directory.Build.props,Directory.Packages.props,global.json,BannedSymbols.txt} "$work/"
(cd "$root/src" && tar cf - --exclude=bin --exclude=obj --exclude=packages.lock.json McpAuth.Protocol) | tar xf - -C "$work/src"
cp "$root"/tests/McpAuth.Protocol.Tests/ToolCalls/*.cs "$work/tests/ToolCalls/"
cat > "$work/tests/McpAuth.Protocol.Tests.csproj" <<'PROJECT'
<Project Sdk="Microsoft.NET.Sdk">
  <ItemGroup>
    <PackageReference Include="Microsoft.NET.Test.Sdk" />
    <PackageReference Include="xunit" />
    <PackageReference Include="xunit.runner.visualstudio" PrivateAssets="all" />
    <Using Include="Xunit" />
    <ProjectReference Include="../src/McpAuth.Protocol/McpAuth.Protocol.csproj" />
  </ItemGroup>
</Project>
PROJECT

code=$work/src/McpAuth.Protocol/ToolCalls
cat > "$code/Mutation.cs" <<'CODE'
namespace McpAuth.Protocol.ToolCalls;

internal static class Mutation
{
    private static readonly string? Alive = Environment.GetEnvironmentVariable("MCPAUTH_MUTANT");

    public static bool Is(string name) => name == Alive;
}
CODE

mutants=$work/mutants # name, filter, what it does; tab-separated
: > "$mutants"

# substitute FILE ANCHOR REPLACEMENT: literal; the anchor must be there exactly once.
substitute() {
    local file=$1 anchor=$2 text rest
    text=$(<"$file")
    rest=${text#*"$anchor"}
    [[ $rest != "$text" ]] || fail "${file##*/}: not found: $anchor"
    [[ ${rest#*"$anchor"} == "$rest" ]] || fail "${file##*/}: found more than once: $anchor"
    printf '%s\n' "${text%%"$anchor"*}$3$rest" > "$file"
}

number=0
while IFS= read -r line; do
    [[ -z $line || $line == \#* ]] && continue
    file=${line%%' | '*}; line=${line#*' | '}
    tests=${line%%' | '*}; line=${line#*' | '}
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
        printf '%s\tFullyQualifiedName~%s\t%s  →  %s\n' "$name" "$tests" "$original" "$replacement" >> "$mutants"
    done
    substitute "$code/$file" "$before$original$after" "$before$mutated$after"
done < "$rules"

# Every ordered pair of constraint types: a pair the rule can refuse is accepted, a pair it can accept is refused. The test of that pair
# alone must notice.
declare -A class=([exact]=Exact [one_of]=OneOf [not_one_of]=NotOneOf [range]=Range [prefix]=Prefix [path_under]=PathUnder
    [contains]=Contains [subset]=Subset [all]=All [any]=Any [wildcard]=Wildcard)
types=(exact one_of not_one_of range prefix path_under contains subset all any wildcard)
accepts=" exact/exact exact/one_of exact/range exact/prefix exact/path_under one_of/one_of one_of/range one_of/prefix not_one_of/not_one_of
 range/range prefix/prefix path_under/path_under contains/contains subset/subset "
for type in "${types[@]}"; do # a type without a line here would go untested
    grep -q "sealed class ${class[$type]}Constraint(\| class ${class[$type]}Constraint :" "$code"/*.cs || fail "no class for $type"
done
[[ $(cat "$code"/*.cs | grep -c 'sealed class [A-Za-z]*Constraint\b') == "${#types[@]}" ]] || fail "a constraint type is missing from run.sh"
overrides=''
override() {
    overrides+="        (${class[$1]}Constraint, ${class[$2]}Constraint) when Mutation.Is(\"$1/$2:$3\") => $3,"$'\n'
    printf '%s\tFullyQualifiedName~SubsetPropertyTests.Subset_AcceptedPair&DisplayName~child: "%s", parent: "%s"\t%s ⊑ %s  →  %s\n' \
        "$1/$2:$3" "$1" "$2" "$1" "$2" "$3" >> "$mutants"
}
for child in "${types[@]}"; do
    for parent in "${types[@]}"; do
        [[ $parent == wildcard ]] || override "$child" "$parent" true
        if [[ $parent =~ ^(all|any|wildcard)$ || $child =~ ^(all|any)$ || $accepts =~ [[:space:]]$child/$parent[[:space:]] ]]; then
            override "$child" "$parent" false
        fi
    done
done
head='=> (child, parent) switch'$'\n''    {'$'\n'
substitute "$code/SubsetRule.cs" "$head" "$head$overrides"

echo "building $(wc -l < "$mutants") mutants"
timeout 600 dotnet build "$work/tests" -m:1 -v q -p:RestorePackagesWithLockFile=false -p:TreatWarningsAsErrors=false -p:RunAnalyzers=false \
    -p:GenerateDocumentationFile=false -p:EnforceCodeStyleInBuild=false > "$work/build.log" 2>&1 ||
    { grep -E 'error' "$work/build.log" | sort -u | head -20 >&2; fail "the mutants do not compile"; }
assembly=$(find "$work/tests/bin" -name McpAuth.Protocol.Tests.dll -not -path '*/ref/*' | head -1)

run() { # NAME FILTER: prints caught, survived, or broken
    local log=$work/log/${1//\//_} status=0
    MCPAUTH_MUTANT=$1 timeout 120 dotnet test "$assembly" --filter "$2" -- xUnit.StopOnFail=true > "$log" 2>&1 || status=$?
    if [[ $status == 0 ]] && grep -q '^Passed!' "$log"; then echo survived
    elif [[ $status == 1 ]] && grep -q '^Failed!.*Failed: *[1-9]' "$log"; then echo caught
    else echo broken; fi
}
export -f run
export work assembly

[[ $(run none 'FullyQualifiedName~ToolCalls') == survived ]] || { tail -20 "$work/log/none" >&2; fail "the tests fail without any mutant"; }

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
    printf '# Mutations of the subset rule\n\nWritten by `tests/mutations/run.sh`. Each mutant is one change of the rule of `mcp_tool_call`; it is caught when a test fails.\n\n'
    printf -- '- Result: **%d caught, %d survived**\n- Sources (`tests/mutations/run.sh --check` compares): `%s`\n\n' "$caught" "$survived" "$hash"
    printf '| where | mutants | caught |\n|---|---|---|\n'
    awk -F'\t' '{ group = $2 ~ /\// ? "pairs of constraint types" : substr($2, 1, index($2, ":") - 1) ".cs"; all[group]++; hit[group] += $1 == "caught" }
        END { for (group in all) printf "| %s | %d | %d |\n", group, all[group], hit[group] }' "$work/results" | sort
    if [[ $survived != 0 ]]; then
        printf '\nSurvivors:\n\n'
        awk -F'\t' '$1 == "survived" { printf "- `%s`: `%s`\n", $2, $3 }' "$work/results" | sort
    fi
} > "$work/report.md"
mkdir -p "$root/docs"
cp "$work/report.md" "$report"
awk -F'\t' '$1 == "survived" { printf "survived: %s  %s\n", $2, $3 }' "$work/results" | sort
echo "$caught caught, $survived survived"
[[ $survived == 0 ]]
