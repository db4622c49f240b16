# The subset rule of mcp_tool_call.
title='Mutations of the subset rule'
about='Each mutant is one change of the rule of `mcp_tool_call`; it is caught when a test fails.'
project=McpAuth.Protocol code=ToolCalls/ tests=ToolCalls
hashed=(src/McpAuth.Protocol/ToolCalls src/McpAuth.Protocol/Text tests/McpAuth.Protocol.Tests/ToolCalls)
others='pairs of constraint types'

# Every ordered pair of constraint types: a pair the rule can refuse is accepted, a pair it can accept is refused. The test of that pair
# alone must notice.
more() {
    local -A class=([exact]=Exact [one_of]=OneOf [not_one_of]=NotOneOf [range]=Range [prefix]=Prefix [path_under]=PathUnder
        [contains]=Contains [subset]=Subset [all]=All [any]=Any [wildcard]=Wildcard)
    local types=(exact one_of not_one_of range prefix path_under contains subset all any wildcard) folder=$work/src/$project/$code
    local accepts=" exact/exact exact/one_of exact/range exact/prefix exact/path_under one_of/one_of one_of/range one_of/prefix not_one_of/not_one_of
 range/range prefix/prefix path_under/path_under contains/contains subset/subset "
    local type child parent overrides='' head='=> (child, parent) switch'$'\n''    {'$'\n'
    for type in "${types[@]}"; do # a type without a line here would go untested
        grep -q "sealed class ${class[$type]}Constraint(\| class ${class[$type]}Constraint :" "$folder"*.cs || fail "no class for $type"
    done
    [[ $(cat "$folder"*.cs | grep -c 'sealed class [A-Za-z]*Constraint\b') == "${#types[@]}" ]] || fail "a constraint type is missing from subject.sh"
    override() {
        overrides+="        (${class[$1]}Constraint, ${class[$2]}Constraint) when Mutation.Is(\"$1/$2:$3\") => $3,"$'\n'
        mutant "$1/$2:$3" "FullyQualifiedName~SubsetPropertyTests.Subset_AcceptedPair&DisplayName~child: \"$1\", parent: \"$2\"" "$1 ⊑ $2  →  $3"
    }
    for child in "${types[@]}"; do
        for parent in "${types[@]}"; do
            [[ $parent == wildcard ]] || override "$child" "$parent" true
            if [[ $parent =~ ^(all|any|wildcard)$ || $child =~ ^(all|any)$ || $accepts =~ [[:space:]]$child/$parent[[:space:]] ]]; then
                override "$child" "$parent" false
            fi
        done
    done
    substitute SubsetRule.cs "$head" "$head$overrides"
}
