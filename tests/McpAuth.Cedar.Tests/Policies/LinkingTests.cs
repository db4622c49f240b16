using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Policies;

[Trait("Spec", "Cedar-templates")]
public sealed class LinkingTests
{
    private static readonly EntityUid Alice = new("User", "alice"), Folder = new("Folder", "f");

    private static readonly PolicySet Set = PolicySet.Parse("""
        @id("both") permit(principal in ?principal, action, resource is File in ?resource);
        @id("one") permit(principal == ?principal, action, resource);
        @id("plain") permit(principal, action, resource);
        """, PolicyIds.FromAnnotation).Value;

    [Fact]
    public void Link_FillsTheSlots_AndLeavesTheSetAsItWas()
    {
        PolicySet linked = Set.Link("both", "x", Alice, Folder).Value;
        Assert.Equal(["plain", "x"], linked.Policies.Select(p => p.Id));
        Assert.Equal(["both", "one"], linked.Templates.Select(p => p.Id));
        Policy policy = linked.Policies[1];
        Assert.False(policy.IsTemplate);
        Assert.Same(Set.Templates[0], policy.Template);
        Assert.Equal((Alice, Folder), (policy.PrincipalSlot, policy.ResourceSlot));
        Assert.Equal("@id(\"both\")\npermit (principal in User::\"alice\", action, resource is File in Folder::\"f\");\n", policy.ToCedar());
        Assert.Single(Set.Policies);
    }

    [Fact]
    public void Link_WithoutFittingEntities_IsRefused()
    {
        Assert.Equal(["missing_slot", "missing_slot"], Codes(Set.Link("both", "x")));
        Assert.Equal(["missing_slot"], Codes(Set.Link("both", "x", Alice)));
        Assert.Equal(["surplus_slot"], Codes(Set.Link("one", "x", Alice, Folder)));
        Assert.Equal(["missing_slot", "surplus_slot"], Codes(Set.Link("one", "x", resource: Folder)));
    }

    [Fact]
    public void Link_OfNoTemplateOrToAUsedId_IsRefused()
    {
        Assert.Equal(["unknown_template"], Codes(Set.Link("plain", "x")));
        Assert.Equal("did you mean 'both'?", Assert.Single(Set.Link("bothh", "x").Diagnostics).Help);
        Assert.Equal(["duplicate_id"], Codes(Set.Link("one", "plain", Alice)));
        Assert.Equal(["duplicate_id"], Codes(Set.Link("one", "one", Alice)));
    }

    [Fact]
    public void Without_ATemplateWithLinks_IsRefused()
    {
        PolicySet linked = Set.Link("one", "x", Alice).Value;
        Assert.Equal(["template_in_use"], Codes(linked.Without("one")));
        Assert.Equal(["both", "plain"], linked.Without("x").Value.Without("one").Value.Templates.Concat(linked.Without("x").Value.Policies).Select(p => p.Id));
        Assert.Equal(["unknown_policy"], Codes(Set.Without("x")));
    }

    [Fact]
    public void With_AddsWhatIsNew()
    {
        PolicySet more = PolicySet.Parse("forbid(principal, action, resource);").Value;
        Assert.Equal(["plain", "policy0"], Set.With(more).Value.Policies.Select(p => p.Id));
        Assert.Equal(["plain", "policy0"], Set.WithPolicy(more.Policies[0]).Value.Policies.Select(p => p.Id));
        Assert.Equal(["duplicate_id"], Codes(more.With(more)));
        Assert.Equal(["duplicate_id"], Codes(more.WithPolicy(more.Policies[0])));
        Assert.Equal(["unknown_template"], Codes(more.WithPolicy(Set.Link("one", "x", Alice).Value.Policies[1])));
    }

    private static IEnumerable<string> Codes(Parsed<PolicySet> parsed) => parsed.Diagnostics.Select(d => d.Code);
}
