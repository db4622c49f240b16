using System.Text.Json.Nodes;

namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>For all child ⊑ parent and all values: child admits ⇒ parent admits.</summary>
[Trait("Spec", "wire:mcp_tool_call")]
public sealed class SubsetPropertyTests
{
    private const int PairsPerTypes = 100;

    public static TheoryData<string, string> Ordered
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var (child, parent) in Pairs.All)
                data.Add(child, parent);
            return data;
        }
    }

    [Theory, MemberData(nameof(Ordered))]
    public void Subset_AcceptedPair_AdmitsNothingTheParentRefuses(string child, string parent)
    {
        var generator = new Generator(Seed(child, parent));
        int accepted = 0, telling = 0;
        for (var i = 0; i < PairsPerTypes; i++)
        {
            var (below, above) = generator.Pair(child, parent);
            if (!Json.Constraint(below.ToJsonString()).IsWithin(Json.Constraint(above.ToJsonString())))
                continue;
            accepted++;
            var admitted = generator.Universe(below, above).Where(value => Oracle.Admits(below, value)).ToList();
            telling += admitted.Count > 0 ? 1 : 0;
            foreach (var value in admitted)
                Assert.True(Oracle.Admits(above, value), $"{below.ToJsonString()} ⊑ {above.ToJsonString()} but {value?.ToJsonString() ?? "null"}");
        }
        if (!Pairs.CanAccept(child, parent))
        {
            Assert.Equal(0, accepted);
            return;
        }
        Assert.True(accepted >= PairsPerTypes * 30 / 100, $"{child} ⊑ {parent}: {accepted} of {PairsPerTypes} accepted.");
        // An accepted child that admits nothing of the universe proves nothing; most must admit something.
        Assert.True(telling >= accepted / 2, $"{child} ⊑ {parent}: only {telling} of {accepted} accepted pairs say anything.");
    }

    [Theory, MemberData(nameof(Ordered))]
    public void Admits_AnyConstraintAndValue_IsWhatTheWordsSay(string child, string parent)
    {
        var generator = new Generator(Seed(parent, child) + 1);
        for (var i = 0; i < 8; i++)
        {
            var (one, other) = generator.Pair(child, parent);
            foreach (var constraint in new[] { one, other })
            {
                var parsed = Json.Constraint(constraint.ToJsonString());
                foreach (var value in generator.Universe(one, other))
                {
                    var text = value?.ToJsonString() ?? "null";
                    Assert.True(Oracle.Admits(constraint, value) == parsed.Admits(Json.Of(text)), $"{constraint.ToJsonString()} and {text}");
                }
            }
        }
    }

    [Theory, MemberData(nameof(Ordered))]
    public void Subset_EveryConstraint_IsWithinItself(string child, string parent)
    {
        var (one, other) = new Generator(Seed(child, parent) + 2).Pair(child, parent);
        foreach (JsonObject constraint in new[] { one, other })
            Assert.True(Json.Constraint(constraint.ToJsonString()).IsWithin(Json.Constraint(constraint.ToJsonString())), constraint.ToJsonString());
    }

    private static int Seed(string child, string parent) => 1000 * Array.IndexOf(Pairs.Types, child) + 10 * Array.IndexOf(Pairs.Types, parent);
}
