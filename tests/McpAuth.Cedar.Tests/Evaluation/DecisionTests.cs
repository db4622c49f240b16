using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Evaluation;

/// <summary>How policies together make a decision.</summary>
public sealed class DecisionTests
{
    private const string Permit = "permit(principal, action, resource);", Forbid = "forbid(principal, action, resource);";
    private const string Failing = " when { context.missing };", Never = " when { false };";

    [Theory]
    [InlineData("", Decision.Deny, DenialCause.NothingPermits, "", "")]
    [InlineData(Permit, Decision.Allow, DenialCause.None, "policy0", "")]
    [InlineData(Forbid, Decision.Deny, DenialCause.Forbidden, "policy0", "")]
    [InlineData(Permit + Forbid, Decision.Deny, DenialCause.Forbidden, "policy1", "")]
    [InlineData(Forbid + Permit, Decision.Deny, DenialCause.Forbidden, "policy0", "")]
    [InlineData(Permit + Permit, Decision.Allow, DenialCause.None, "policy0 policy1", "")]
    [InlineData("permit(principal, action, resource)" + Never, Decision.Deny, DenialCause.NothingPermits, "", "")]
    [InlineData("permit(principal, action, resource)" + Failing, Decision.Deny, DenialCause.NothingPermits, "", "policy0")]
    [InlineData("permit(principal, action, resource)" + Failing + Permit, Decision.Allow, DenialCause.None, "policy1", "policy0")]
    [InlineData("forbid(principal, action, resource)" + Failing + Permit, Decision.Allow, DenialCause.None, "policy1", "policy0")]
    [InlineData("forbid(principal, action, resource)" + Never + Permit, Decision.Allow, DenialCause.None, "policy1", "")]
    [InlineData("permit(principal, action, resource) unless { true };", Decision.Deny, DenialCause.NothingPermits, "", "")]
    [InlineData("permit(principal, action, resource) unless { false };", Decision.Allow, DenialCause.None, "policy0", "")]
    [InlineData("permit(principal, action, resource) when { true } unless { true };", Decision.Deny, DenialCause.NothingPermits, "", "")]
    [InlineData("permit(principal, action, resource) when { false } when { context.missing };", Decision.Deny, DenialCause.NothingPermits, "", "")]
    public void Policies_Together_DecideAsCedarSays(string policies, Decision decision, DenialCause cause, string reasons, string errors)
    {
        AuthorizationResponse response = World.Authorize(policies);
        Assert.Equal((decision, cause, reasons, errors),
            (response.Decision, response.Cause, string.Join(' ', response.Reasons), string.Join(' ', response.Errors.Select(e => e.PolicyId))));
    }

    [Theory]
    [InlineData("principal, action, resource", true)]
    [InlineData("principal == User::\"ann\", action, resource", true)]
    [InlineData("principal == User::\"bob\", action, resource", false)]
    [InlineData("principal == Group::\"staff\", action, resource", false)]
    [InlineData("principal in Group::\"company\", action, resource", true)]
    [InlineData("principal in User::\"ann\", action, resource", true)]
    [InlineData("principal in Group::\"other\", action, resource", false)]
    [InlineData("principal is User, action, resource", true)]
    [InlineData("principal is Group, action, resource", false)]
    [InlineData("principal is User in Group::\"staff\", action, resource", true)]
    [InlineData("principal is Group in Group::\"staff\", action, resource", false)]
    [InlineData("principal is User in Group::\"other\", action, resource", false)]
    [InlineData("principal, action == Action::\"read\", resource", true)]
    [InlineData("principal, action == Action::\"reading\", resource", false)]
    [InlineData("principal, action in Action::\"reading\", resource", true)]
    [InlineData("principal, action in Action::\"read\", resource", true)]
    [InlineData("principal, action in Action::\"write\", resource", false)]
    [InlineData("principal, action in [Action::\"write\", Action::\"any\"], resource", true)]
    [InlineData("principal, action in [Action::\"write\", Action::\"delete\"], resource", false)]
    [InlineData("principal, action in [], resource", false)]
    [InlineData("principal, action, resource == Doc::\"report\"", true)]
    [InlineData("principal, action, resource == Doc::\"other\"", false)]
    [InlineData("principal, action, resource == Folder::\"reports\"", false)]
    [InlineData("principal, action, resource in Folder::\"reports\"", true)]
    [InlineData("principal, action, resource in Folder::\"other\"", false)]
    [InlineData("principal, action, resource is Doc", true)]
    [InlineData("principal, action, resource is Folder", false)]
    public void Scope_OfAPolicy_SaysWhomItIsAbout(string scope, bool included)
    {
        Explanation explanation = Authorizer.CedarCompatible(PolicySet.Parse($"permit({scope});").Value).Explain(World.Request, World.Entities);
        Assert.Equal(included ? Decision.Allow : Decision.Deny, explanation.Response.Decision);
        Assert.Equal(included, explanation.Policies[0].InScope);
    }

    [Theory]
    [InlineData("principal in User::\"zoe\", action in Action::\"fly\", resource in Doc::\"lost\"", true)]
    [InlineData("principal in User::\"ann\", action, resource", false)]
    [InlineData("principal, action, resource in Doc::\"report\"", false)]
    public void Scope_OfWhatIsNotKnown_IncludesItselfAlone(string scope, bool included)
    {
        var request = new Request(new("User", "zoe"), new("Action", "fly"), new("Doc", "lost"), CedarRecord.Empty);
        Assert.Equal(included ? Decision.Allow : Decision.Deny, World.Authorize($"permit({scope});", request).Decision);
    }

    [Fact]
    public void Conditions_OfOneChain_FailAndEndWhereTheyWouldInTheChain()
    {
        Assert.Equal("policy0: the record has no attribute `missing`", OnlyError("context.yes && context.missing && false"));
        Assert.Equal("policy0: expected bool, got long", OnlyError("context.yes && context.amount && context.missing"));
        Assert.Empty(World.Authorize("permit(principal, action, resource) when { context.yes && context.no && context.missing };").Errors);
        Assert.Equal(Decision.Deny, World.Authorize("permit(principal, action, resource) when { context.yes && context.no };").Decision);
        Assert.Equal(Decision.Deny, World.Authorize("permit(principal, action, resource) when { context.no && context.yes };").Decision);

        static string OnlyError(string condition) =>
            Assert.Single(World.Authorize($"permit(principal, action, resource) when {{ {condition} }};").Errors).ToString();
    }

    [Fact]
    public void Action_InSeveralOfItsGroups_CountsAPolicyOnce()
    {
        AuthorizationResponse response = World.Authorize("permit(principal, action in [Action::\"reading\", Action::\"any\", Action::\"read\", Action::\"any\"], resource);");
        Assert.Equal(["policy0"], response.Reasons);
    }

    [Fact]
    public void Entity_IsInItselfAndInWhatItIsIn()
    {
        var ann = World.Entities.Find(World.Ann)!;
        Assert.True(ann.IsIn(World.Ann) && ann.IsIn(World.Company));
        Assert.False(ann.IsIn(World.Bob));
    }

    [Fact]
    public void Policies_ThatSayTheSame_AreDecidedOnceAndNamedEach()
    {
        Authorizer authorizer = Authorizer.CedarCompatible(PolicySet.Parse(string.Concat(Enumerable.Repeat("@a(\"x\") permit(principal, action, resource) when { context.amount == 100 };\n", 3)) +
            "permit(principal, action, resource) when { context.amount == 100 && true };").Value);
        Assert.Equal(2, authorizer.Groups.Count);
        Assert.Equal(["policy0", "policy1", "policy2", "policy3"], authorizer.Authorize(World.Request, World.Entities).Reasons);
    }

    [Fact]
    public void Policies_ThatDifferInOneWord_AreNotTakenForTheSame()
    {
        string[] different =
        [
            "permit(principal, action, resource);", "forbid(principal, action, resource);", "permit(principal is User, action, resource);",
            "permit(principal, action, resource is User);", "permit(principal == A::\"a\", action, resource);", "permit(principal in A::\"a\", action, resource);",
            "permit(principal, action == Action::\"a\", resource);", "permit(principal, action in Action::\"a\", resource);", "permit(principal, action in [], resource);",
            .. ((string[])["1 == 1", "1 == 2", "1 == \"1\"", "1 != 1", "1 < 1", "1 <= 1", "1 > 1", "1 >= 1", "true && false", "true || false", "!true", "!false", "-1 == 1",
                "principal == 1", "action == 1", "resource == 1", "context == 1", "context.a", "context.b", "context has a", "context has b", "principal has a", "principal.a",
                "if true then true else false", "if true then false else true", "principal like \"a\"", "principal like \"a*\"", "principal like \"a\\*\"", "principal is A", "principal is B",
                "[1].contains(1)", "[1, 2].contains(1)", "[2, 1].contains(1)", "[1].containsAll(1)", "[1].containsAny(1)", "[1].isEmpty()", "{a: 1} == 1", "{b: 1} == 1", "{a: 2} == 1",
                "ip(\"a\") == 1", "decimal(\"a\") == 1", "ip(\"b\") == 1", "principal in resource", "principal.hasTag(\"a\")", "principal.getTag(\"a\")", "1 + 1 == 1", "1 - 1 == 1", "1 * 1 == 1",
                "true && false && true", "User::\"a\" == 1", "User::\"b\" == 1", "\"a\" == 1",
            ]).SelectMany(c => (string[])[$"permit(principal, action, resource) when {{ {c} }};", $"permit(principal, action, resource) unless {{ {c} }};"]),
        ];
        Assert.Equal(different.Length, Authorizer.CedarCompatible(PolicySet.Parse(string.Join('\n', different)).Value).Groups.Count);
    }

    [Fact]
    public void Response_UsedAgain_HoldsOnlyTheLastDecision()
    {
        var response = new AuthorizationResponse();
        Authorizer forbids = Authorizer.CedarCompatible(PolicySet.Parse(Permit + Forbid + "permit(principal, action, resource)" + Failing).Value);
        Authorizer permits = Authorizer.CedarCompatible(PolicySet.Parse(Permit).Value);
        Assert.Equal(Decision.Deny, forbids.Authorize(World.Request, World.Entities, response));
        Assert.Equal(Decision.Allow, permits.Authorize(World.Request, World.Entities, response));
        Assert.Equal((DenialCause.None, 1, 0), (response.Cause, response.Reasons.Count, response.Errors.Count));
    }

    [Fact]
    public void Response_UsedForAnotherRequest_KnowsNothingOfTheLastOne()
    {
        Authorizer authorizer = Authorizer.CedarCompatible(PolicySet.Parse("permit(principal, action, resource) when { context.amount == 100 && context.text == \"a/b/c\" };").Value);
        var response = new AuthorizationResponse();
        Assert.Equal(Decision.Allow, authorizer.Authorize(World.Request, World.Entities, response));
        Assert.Equal(Decision.Deny, authorizer.Authorize(World.Request with { Context = CedarRecord.Empty }, World.Entities, response));
        Assert.Equal("policy0: the record has no attribute `amount`", Assert.Single(response.Errors).ToString());
    }

    [Fact]
    public void Reasons_OfManyPolicies_StandInTheOrderOfTheSet()
    {
        string[] conditions = [.. Enumerable.Range(0, 12).Select(i => i % 2 == 0 ? "true" : $"context.amount > {i}")];
        AuthorizationResponse response = World.Authorize(string.Concat(conditions.Select(c => $"permit(principal, action, resource) when {{ {c} }};")));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => $"policy{i}"), response.Reasons);
    }

    [Fact]
    public void Allow_IntoAResponseUsedBefore_AllocatesNothing()
    {
        Authorizer authorizer = Authorizer.CedarCompatible(PolicySet.Parse("""
            permit(principal in Group::"company", action in Action::"any", resource) when { context.amount <= 100 && context.tags.contains("x") };
            permit(principal, action, resource) when { principal.age > 18 && context.ip.isInRange(ip("10.0.0.0/8")) && context.text like "a*c" };
            permit(principal, action, resource) when { context.missing };
            forbid(principal, action, resource) when { context.user in Group::"staff" || context.now < datetime("2020-01-01") };
            """).Value);
        var response = new AuthorizationResponse();
        for (int i = 0; i < 100; i++) Decide();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) Decide();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal((Decision.Allow, 2, 1), Decide());

        (Decision, int, int) Decide()
        {
            authorizer.Authorize(World.Request, World.Entities, response);
            return (response.Decision, response.Reasons.Count, response.Errors.Count);
        }
    }

    [Fact]
    public void LinkedTemplates_DecideLikePolicies()
    {
        var entity = new EntityUid("Group", "staff");
        PolicySet set = PolicySet.Parse("permit(principal in ?principal, action, resource);").Value;
        Assert.Equal(Decision.Deny, Authorizer.CedarCompatible(set).Authorize(World.Request, World.Entities).Decision);
        PolicySet linked = set.Link("policy0", "staff", entity, null).Value;
        Assert.Equal(["staff"], Authorizer.CedarCompatible(linked).Authorize(World.Request, World.Entities).Reasons);
        PolicySet other = set.Link("policy0", "other", new EntityUid("Group", "other"), null).Value;
        Assert.Equal(Decision.Deny, Authorizer.CedarCompatible(other).Authorize(World.Request, World.Entities).Decision);
    }

    [Theory]
    [InlineData(Permit, Decision.Allow, DenialCause.None)]
    [InlineData("", Decision.Deny, DenialCause.NothingPermits)]
    [InlineData(Permit + Forbid, Decision.Deny, DenialCause.Forbidden)]
    [InlineData(Permit + "permit(principal, action, resource)" + Failing, Decision.Allow, DenialCause.None)]
    [InlineData(Permit + "forbid(principal, action, resource)" + Failing, Decision.Deny, DenialCause.ForbidFailed)]
    public void Strict_ForbidThatFails_Denies(string policies, Decision decision, DenialCause cause)
    {
        AuthorizationResponse response = Authorizer.Strict(PolicySet.Parse(policies).Value, Schema).Authorize(World.Request with { Context = CedarRecord.Empty }, World.Entities);
        Assert.Equal((decision, cause), (response.Decision, response.Cause));
    }

    [Fact]
    public void Strict_RequestThatTheSchemaDoesNotKnow_IsDeniedBeforeAnyPolicyIsAsked()
    {
        Authorizer authorizer = Authorizer.Strict(PolicySet.Parse(Permit + Forbid).Value, Schema);
        AuthorizationResponse response = authorizer.Authorize(World.Request, World.Entities); // with a context, where the schema has none
        Assert.Equal((Decision.Deny, DenialCause.RequestInvalid, 0), (response.Decision, response.Cause, response.Reasons.Count));
        Assert.NotNull(response.RequestFault);
        Assert.Contains(response.RequestFault, authorizer.Explain(World.Request, World.Entities).ToString(), StringComparison.Ordinal);
        authorizer.Authorize(World.Request with { Context = CedarRecord.Empty }, World.Entities, response);
        Assert.Null(response.RequestFault);
    }

    private static CedarSchema Schema { get; } = CedarSchema.Parse("""
        entity Group in [Group]; entity User in [Group]; entity Folder; entity Doc in [Folder];
        action any; action reading in [any];
        action read in [reading, any] appliesTo { principal: [User], resource: [Doc] };
        """).Value;
}
