using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Mcp.Tools;

namespace McpAuth.Cedar.Tests.Mcp;

public class ToolCallAuthorizerTests
{
    private const string Permit = """permit(principal, action == Mcp::Action::"refund", resource) when { context.input.amount <= 100 };""";

    [Theory]
    [InlineData("""{"amount":100}""", "Allow by policy0")]
    [InlineData("""{"amount":1e2}""", "Allow by policy0")]
    [InlineData("""{"amount":100.0}""", "Allow by policy0")]
    [InlineData("""{"amount":-0}""", "Allow by policy0")]
    [InlineData("""{"amount":-9223372036854775808}""", "Allow by policy0")]
    [InlineData("""{"\u0061mount":5}""", "Allow by policy0")]
    [InlineData(""" { "amount" : 5 } """, "Allow by policy0")]
    [InlineData("""{"amount":101}""", "Deny: NothingPermits")]
    [InlineData("""{"amount":0.5}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":1e400}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":9223372036854775808}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":"5"}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":true}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":[5]}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":{"amount":5}}""", "Deny: RequestInvalid: `amount` is not a whole number of 64 bits")]
    [InlineData("""{"amount":null}""", "Deny: RequestInvalid: `amount` is missing")]
    [InlineData("""{"Amount":5}""", "Deny: RequestInvalid: `amount` is missing")]
    [InlineData("{}", "Deny: RequestInvalid: `amount` is missing")]
    [InlineData("", "Deny: RequestInvalid: `amount` is missing")]
    [InlineData("""{"amount":5,"amount":5}""", "Deny: RequestInvalid: `amount` stands twice")]
    [InlineData("""{"amount":5,"\u0061mount":500}""", "Deny: RequestInvalid: `amount` stands twice")]
    [InlineData("""{"amount":null,"amount":500}""", "Deny: RequestInvalid: `amount` is missing")]
    [InlineData("""{"amount":5,"\ud800":1}""", "Deny: RequestInvalid: a name in the arguments holds half a character")]
    [InlineData("[]", "Deny: RequestInvalid: the arguments are not an object")]
    [InlineData("null", "Deny: RequestInvalid: the arguments are not an object")]
    [InlineData("5", "Deny: RequestInvalid: the arguments are not an object")]
    [InlineData(" ", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("{", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("""{"amount":5}x""", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("""{"amount":5}{}""", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("""{"amount":5,}""", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("""{"amount":05}""", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("""{"amount":NaN}""", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("""{"amount":5/**/}""", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    [InlineData("\uFEFF{\"amount\":5}", "Deny: RequestInvalid: the arguments are not JSON, or nest too deeply")]
    public void Number_IsReadExactlyOrTheCallIsDenied(string arguments, string outcome)
    {
        Assert.Equal(outcome, Authorizer(Permit).Call(arguments).Outcome());
        Assert.Equal(outcome, Authorizer(Permit, AuthorizationMode.CedarCompatible).Call(arguments).Outcome());
    }

    [Theory]
    [InlineData("0.1234", "Allow by policy0")]
    [InlineData("1e-4", "Allow by policy0")]
    [InlineData("0", "Allow by policy0")]
    [InlineData("1", "Deny: NothingPermits")]
    [InlineData("0.12345", "Deny: RequestInvalid: `rate` is not a number with at most four digits behind the point")]
    [InlineData("\"0.1\"", "Deny: RequestInvalid: `rate` is not a number with at most four digits behind the point")]
    public void Decimal_IsReadExactlyOrTheCallIsDenied(string rate, string outcome) => Assert.Equal(
        outcome, Authorizer("""permit(principal, action, resource) when { context.input has rate && context.input.rate.lessThan(decimal("1.0")) };""").Call($$"""{"amount":1,"rate":{{rate}}}""").Outcome());

    [Theory]
    [InlineData("\"a\"", "Allow by policy0")]
    [InlineData(@"""\u0061""", "Allow by policy0")]
    [InlineData("\"b\"", "Deny: NothingPermits")]
    [InlineData(@"""\ud800""", "Deny: RequestInvalid: `order` is not text")]
    [InlineData(@"""\udc00\ud800""", "Deny: RequestInvalid: `order` is not text")]
    [InlineData(@"""a\ud83d\ude00""", "Deny: NothingPermits")]
    [InlineData("1", "Deny: RequestInvalid: `order` is not text")]
    public void Text_IsReadExactlyOrTheCallIsDenied(string order, string outcome) => Assert.Equal(
        outcome, Authorizer("""permit(principal, action, resource) when { context.input.order == "a" };""").Call($$"""{"order":{{order}}}""", "read_order").Outcome());

    [Fact]
    public void Text_OfAnyLengthAndEscape_IsWhatTheEscapesSay()
    {
        string text = string.Concat(Enumerable.Repeat("é\"\\/\b\f\n\r\t😀\u0001", 60));
        string json = System.Text.Json.JsonSerializer.Serialize(text);
        Assert.Contains(@"\u", json, StringComparison.Ordinal);
        var response = Authorizer("""permit(principal, action, resource) when { context.input.order like "é\"\\/*\u{1}" };""").Call($$"""{"order":{{json}}}""", "read_order");
        Assert.Equal("Allow by policy0", response.Outcome());
    }

    [Fact]
    public void Bytes_ThatAreNotUtf8_AreDenied() =>
        Assert.Equal("Deny: RequestInvalid: the arguments are not UTF-8", Authorizer(Permit).Call([.. "{\"amount\":5,\"x\":\""u8, 0xff, .. "\"}"u8]).Outcome());

    [Theory]
    [InlineData("7")]
    [InlineData("null")]
    [InlineData("[[[1]],{\"a\":1,\"a\":2}]")]
    [InlineData("1e400")]
    [InlineData(@"""\ud800""")]
    public void Argument_NobodyReads_DoesNotMatter(string anything) =>
        Assert.Equal("Allow by policy0", Authorizer(Permit).Call($$"""{"order":{{anything}},"tags":{{anything}},"unknown":{{anything}},"unknown":{{anything}},"to":{{anything}},"amount":5}""").Outcome());

    [Fact]
    public void Argument_OnlyAnotherToolsPoliciesRead_DoesNotMatter() => Assert.Equal(
        "Allow by policy0",
        Authorizer(Permit + """permit(principal, action == Mcp::Action::"read_order", resource) when { context.input.order == "a" };""").Call("""{"amount":5,"order":7}""").Outcome());

    [Theory]
    [InlineData("""permit(principal, action, resource == Mcp::Server::"elsewhere") when { context.input.urgent };""")]
    [InlineData("""forbid(principal, action in Mcp::Action::"class:payments", resource) when { context.input.urgent };""")]
    [InlineData("""forbid(principal, action in [Mcp::Action::"tools:all", Mcp::Action::"sensitivity:read"], resource) when { context.input.urgent };""")]
    public void Argument_SomePolicyOfTheActionReads_Matters(string policy) =>
        Assert.Equal("Deny: RequestInvalid: `urgent` is neither true nor false", Authorizer(Permit + policy).Call("""{"amount":5,"urgent":"yes"}""").Outcome());

    [Theory]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("1e400")]
    public void Argument_OnlyAskedForPresence_IsNotConverted(string anything) =>
        Assert.Equal("Allow by policy0", Authorizer("""permit(principal, action, resource) when { context.input has order };""").Call($$"""{"order":{{anything}}}""", "read_order").Outcome());

    [Fact]
    public void Null_IsAsIfItWereNotThere() =>
        Assert.Equal("Deny: NothingPermits", Authorizer("""permit(principal, action, resource) when { context.input has order };""").Call("""{"order":null}""", "read_order").Outcome());

    [Fact]
    public void Argument_TheSchemaDoesNotKnow_IsNotThere() => Assert.Equal(
        "Deny: NothingPermits", Authorizer("""permit(principal, action, resource) when { context.input has secret };""").Call("""{"secret":"x"}""", "read_order").Outcome());

    [Theory]
    [InlineData("""{"amount":5,"to":{"iban":"X","country":"CH"}}""", "Allow by policy0")]
    [InlineData("""{"amount":5,"to":{"iban":"X","country":"XX"}}""", "Deny: Forbidden by policy1")]
    [InlineData("""{"amount":5,"to":{"iban":"X"}}""", "Allow by policy0")]
    [InlineData("""{"amount":5,"to":{"iban":7,"country":"CH"}}""", "Allow by policy0")]
    [InlineData("""{"amount":5,"to":null}""", "Allow by policy0")]
    [InlineData("""{"amount":5}""", "Allow by policy0")]
    [InlineData("""{"amount":5,"to":"X"}""", "Deny: RequestInvalid: `to` is not an object")]
    [InlineData("""{"amount":5,"to":{"iban":"X","country":"CH","country":"CH"}}""", "Deny: RequestInvalid: `country` stands twice")]
    [InlineData("""{"amount":5,"to":{"country":"CH"},"to":{"country":"XX"}}""", "Deny: RequestInvalid: `to` stands twice")]
    [InlineData("""{"amount":5,"to":{"country":"CH"},"\u0074o":null}""", "Deny: RequestInvalid: `to` stands twice")]
    public void Member_OfAnObject_IsReadAlone(string arguments, string outcome) => Assert.Equal(
        outcome, Authorizer(Permit + """forbid(principal, action, resource) when { context.input has to && context.input.to has country && context.input.to.country == "XX" };""").Call(arguments).Outcome());

    [Theory]
    [InlineData("""["a","b"]""", "Allow by policy0")]
    [InlineData("""[]""", "Allow by policy0")]
    [InlineData("""["a","a","x"]""", "Deny: Forbidden by policy1")]
    [InlineData("""["a",1]""", "Deny: RequestInvalid: `tags` is not text")]
    [InlineData("""["a",null]""", "Deny: RequestInvalid: `tags` is not text")]
    [InlineData("""["a",["x"]]""", "Deny: RequestInvalid: `tags` is not text")]
    [InlineData("""{}""", "Deny: RequestInvalid: `tags` is not an array")]
    public void Array_IsASet(string tags, string outcome) => Assert.Equal(
        outcome, Authorizer(Permit + """forbid(principal, action, resource) when { context.input has tags && context.input.tags.contains("x") };""").Call($$"""{"amount":5,"tags":{{tags}}}""").Outcome());

    [Theory]
    [InlineData("""{"amount":5}""", "Allow by policy0")]
    [InlineData("""{"amount":5,"note":null,"unknown":1}""", "Allow by policy0")]
    [InlineData("""{"amount":6}""", "Deny: NothingPermits")]
    [InlineData("""{"amount":5,"order":7}""", "Deny: RequestInvalid: `order` is not text")]
    [InlineData("""{"amount":5,"unknown":1,"unknown":2}""", "Deny: RequestInvalid: a name in `input` stands twice")]
    [InlineData("""{}""", "Deny: RequestInvalid: `amount` is missing")]
    public void Input_ReadAsAWhole_IsConvertedAsAWhole(string arguments, string outcome) =>
        Assert.Equal(outcome, Authorizer("""permit(principal, action == Mcp::Action::"refund", resource) when { context.input == {"amount": 5} };""").Call(arguments).Outcome());

    [Theory]
    [InlineData("""{"order":"a"}""", "Allow by policy0")]
    [InlineData("""{"order":"b"}""", "Deny: NothingPermits")]
    [InlineData("""{"order":7}""", "Deny: RequestInvalid: `order` is not text")]
    public void Context_ReadAsAWhole_IsMadeAsAWhole(string arguments, string outcome) => Assert.Equal(
        outcome,
        Authorizer("""permit(principal, action == Mcp::Action::"read_order", resource) when { (if principal is Mcp::User then context else context).input.order == "a" && context.session has time };""").Call(arguments, "read_order").Outcome());

    [Fact]
    public void Nesting_BeyondWhatIsRead_IsDenied()
    {
        string deep = new('[', 100_000);
        Assert.Equal("Deny: RequestInvalid: the arguments are not JSON, or nest too deeply", Authorizer(Permit).Call($$"""{"amount":5,"x":{{deep}}""").Outcome());
        string within = new string('[', 60) + new string(']', 60);
        Assert.Equal("Allow by policy0", Authorizer(Permit).Call($$"""{"amount":5,"x":{{within}}}""").Outcome());
    }

    [Theory]
    [InlineData(AuthorizationMode.Strict)]
    [InlineData(AuthorizationMode.CedarCompatible)]
    public void Tool_NobodyRegistered_IsDenied(AuthorizationMode mode) => Assert.Equal(
        "Deny: RequestInvalid: the tool is not one of this tool server", Authorizer("permit(principal, action, resource);", mode).Call("{}", "Refund").Outcome());

    [Theory]
    [InlineData(AuthorizationMode.Strict)]
    [InlineData(AuthorizationMode.CedarCompatible)]
    public void Call_WithoutAResource_IsDenied(AuthorizationMode mode)
    {
        var response = new AuthorizationResponse();
        Authorizer("permit(principal, action, resource);", mode).Authorize(new ToolCall { Principal = Ann, Tool = Refund, Session = Session, Arguments = "{}"u8 }, EntityStore.Empty, response);
        Assert.Equal("Deny: RequestInvalid: the call names no resource", response.Outcome());
    }

    [Fact]
    public void Parties_OfAnotherType_AreDeniedInStrictMode()
    {
        const string All = "permit(principal, action, resource);";
        EntityUid stranger = new("Mcp::Group", "g");
        Assert.Equal("Deny: RequestInvalid: the principal is not of a type that may call `refund`", Authorizer(All).Call("{}", principal: stranger).Outcome());
        Assert.Equal("Deny: RequestInvalid: the resource is not of a type that `refund` is called at", Authorizer(All).Call("{}", resource: stranger).Outcome());
        Assert.Equal("Allow by policy0", Authorizer(All, AuthorizationMode.CedarCompatible).Call("{}", principal: stranger, resource: stranger).Outcome());
        Assert.Equal("Allow by policy0", Authorizer(All).Call("{}", principal: new EntityUid("Mcp::Agent", "a")).Outcome());
    }

    public static TheoryData<string, CedarRecord> WrongSessions => new()
    {
        { "session: the attribute 'chain' is missing", CedarRecord.Empty },
        { "session.time: ", new CedarRecord(Session.Select(a => a.Key == "time" ? new("time", Value.Of(5)) : a)) },
        { "session: the attribute 'time' is missing", new CedarRecord(Session.Where(a => a.Key != "time")) },
        { "session.chain[…]: ", new CedarRecord(Session.Select(a => a.Key == "chain" ? new("chain", Value.Of(new CedarSet(Value.Of(Ann)))) : a)) },
        { "session.scopes: ", new CedarRecord(Session.Select(a => a.Key == "scopes" ? new("scopes", Value.Of("a")) : a)) },
        { "session.user: ", SessionWith(("user", Value.Of(Server))) },
        { "session: the attribute 'zzz' is unknown", SessionWith(("zzz", Value.True)) },
        { "session: the attribute 'aaa' is unknown", SessionWith(("aaa", Value.True)) },
        { "session.task: the attribute 'other' is unknown", SessionWith(("task", Value.Of(new CedarRecord([new("id", Value.Of("t")), new("other", Value.True)])))) },
        { "session.task: the attribute 'id' is missing", SessionWith(("task", Value.Of(new CedarRecord([])))) },
    };

    [Theory, MemberData(nameof(WrongSessions))]
    public void Session_ThatIsNotAsTheSchemaSays_IsDeniedInStrictMode(string fault, CedarRecord session)
    {
        const string All = "permit(principal, action, resource);";
        Assert.StartsWith($"Deny: RequestInvalid: {fault}", Authorizer(All).Call("{}", session: session).Outcome(), StringComparison.Ordinal);
        Assert.Equal("Allow by policy0", Authorizer(All, AuthorizationMode.CedarCompatible).Call("{}", session: session).Outcome());
    }

    [Fact]
    public void Session_IsReadWhereItStands()
    {
        ToolCallAuthorizer authorizer = Authorizer("""
            permit(principal is Mcp::User, action in Mcp::Action::"sensitivity:write", resource)
            when { context.session has task && context.session.task.id == "tsk_1" && context.session.scopes.contains("tool:refund") && context.session has agent };
            """);
        CedarRecord session = SessionWith(("agent", Value.Of(new EntityUid("Mcp::Agent", "agt_1"))), ("task", Value.Of(new CedarRecord([new("id", Value.Of("tsk_1"))]))));
        Assert.Equal("Allow by policy0", authorizer.Call("{}", session: session).Outcome());
        Assert.Equal("Deny: NothingPermits", authorizer.Call("{}").Outcome());
    }

    [Fact]
    public void Group_InACondition_IsKnownWhateverTheStoreSays()
    {
        ToolCallAuthorizer authorizer = Authorizer("""
            permit(principal, action, resource) when { action in Mcp::Action::"class:payments" && Mcp::Action::"read_order" in Mcp::Action::"sensitivity:read" };
            forbid(principal, action in Mcp::Action::"sensitivity:destructive", resource);
            """);
        EntityUid refund = new("Mcp::Action", "refund"), destructive = new("Mcp::Action", "sensitivity:destructive");
        var lying = new EntityStore(new() { [refund] = new(refund, CedarRecord.Empty, CedarRecord.Empty, [destructive], [destructive]) });
        Assert.Equal("Allow by policy0", authorizer.Call("{}").Outcome());
        Assert.Equal("Allow by policy0", authorizer.Call("{}", entities: lying).Outcome());
    }

    [Fact]
    public void Forbid_ThatFails_DeniesInStrictModeOnly()
    {
        const string Policies = """
            permit(principal, action, resource);
            forbid(principal, action, resource) when { context.session.address.isInRange(ip("10.0.0.0/8")) };
            """;
        AuthorizationResponse strict = Authorizer(Policies).Call("{}");
        Assert.Equal("Deny: ForbidFailed", strict.Outcome());
        Assert.Equal("policy1: the record has no attribute `address`", Assert.Single(strict.Errors).ToString());
        Assert.Equal("Allow by policy0", Authorizer(Policies, AuthorizationMode.CedarCompatible).Call("{}").Outcome());
    }

    [Fact]
    public void Decision_AfterAMalformedCall_KnowsNothingOfIt()
    {
        ToolCallAuthorizer authorizer = Authorizer(Permit);
        Assert.Equal(DenialCause.RequestInvalid, authorizer.Call("""{"amount":5,"amount":5}""").Cause);
        Assert.Equal("Allow by policy0", authorizer.Call("""{"amount":5}""").Outcome());
        Assert.Equal("Deny: RequestInvalid: `amount` is missing", authorizer.Call("{}").Outcome());
    }

    [Fact]
    public void Condition_ThatTakesTextApart_FailsAsItDoesAnywhere()
    {
        AuthorizationResponse response = Authorizer("""permit(principal, action, resource) when { context.input.order has x };""", AuthorizationMode.CedarCompatible).Call("""{"order":"a"}""", "read_order");
        Assert.Equal("policy0: expected record, got string", Assert.Single(response.Errors).ToString());
    }

    /// <summary>However many texts a call brings, what is kept for the next decision is as large as the policies.</summary>
    [Fact]
    public void Texts_OfASet_AreNotKeptForTheNextDecision()
    {
        ToolCallAuthorizer authorizer = Authorizer("""permit(principal, action, resource) when { context.input.tags.contains("last") && context.input.order like "o*" };""");
        var response = new AuthorizationResponse();
        byte[] arguments = Encoding.UTF8.GetBytes($$"""{"amount":1,"order":"o-1","tags":[{{string.Concat(Enumerable.Range(0, 50_000).Select(i => $"\"t{i}\","))}}"last"]}""");
        var call = new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session, Arguments = arguments };
        Assert.Equal(Decision.Allow, authorizer.Authorize(call, EntityStore.Empty, response));
        // The order's memory is there, and no other.
        Assert.NotEqual(0, response.Passing.Next.Capacity);
        response.Passing.Use(0);
        Assert.Equal(0, response.Passing.Next.Capacity);
    }

    /// <summary>What is read are numbers, truth values and texts, also such as no policy holds; the rest of the call is as large as it likes.</summary>
    [Fact]
    public void Decision_InTheSteadyState_AllocatesNothing()
    {
        ToolCallAuthorizer authorizer = Authorizer("""
            permit(principal, action == Mcp::Action::"refund", resource == Mcp::Server::"https://shop.example/mcp")
            when { context.input.amount == 100 && context.input.order like "o-*" && context.input.order != context.input.to.country && context.input.rate.lessThan(decimal("0.5")) && context.session.scopes.contains("tool:refund") }
            when { context.input has to && context.input.to has country && (context.input.to.country == "CH" || ["AT", "LI"].contains(context.input.to.country)) }
            unless { context.input has urgent && context.input.urgent };
            forbid(principal, action in [Mcp::Action::"class:payments", Mcp::Action::"sensitivity:read"], resource)
            when { context.input.amount > 100 || context.session.time > datetime("2030-01-01") };
            """);
        var response = new AuthorizationResponse();
        byte[][] calls = [.. new[] { ("o\\u002d9", "CH"), ("o-123456789012345678901234567890", "LI"), ("o-\u00e9", "AT") }.Select(c => Encoding.UTF8.GetBytes(
            """{"note":"NOTE","order":"ORDER","amount":1e2,"urgent":false,"rate":0.25,"to":{"iban":"CH00","country":"COUNTRY"},"tags":["a","b"]}"""
                .Replace("NOTE", new string('x', 3000), StringComparison.Ordinal).Replace("ORDER", c.Item1, StringComparison.Ordinal).Replace("COUNTRY", c.Item2, StringComparison.Ordinal)))];
        foreach (byte[] call in calls) Assert.Equal(Decision.Allow, Decide(call));
        for (int i = 0; i < 300; i++) Decide(calls[i % 3]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int allowed = 0;
        for (int i = 0; i < 10_000; i++)
            if (Decide(calls[i % 3]) == Decision.Allow) allowed++;
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(10_000, allowed);

        Decision Decide(ReadOnlySpan<byte> json)
        {
            var call = new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session, Arguments = json };
            return authorizer.Authorize(call, EntityStore.Empty, response);
        }
    }
}
