namespace McpGuard.Sdk.Tests;

/// <summary>Calls of tools with <c>max_calls</c>: leased in blocks, never run uncounted, and returned when they lie idle or the host stops.</summary>
public sealed class BudgetTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    [Trait("Invariant", "11")]
    public async Task Calls_OfALease_RunWithoutAskingAgainAndTheRestGoesBackWhenIdle()
    {
        server.Budgets["echo"] = 400;
        await using ToolHost host = await ToolHost.StartAsync(server);
        string token = Token(host, 400);
        for (int i = 0; i < 5; i++) Assert.Equal("x", (await host.CallTool("echo", """{"text":"x"}""", token)).Text);
        Assert.InRange(server.BudgetRequests, 1, 3);
        // Nobody calls any more: what is left comes back, and five were spent.
        await Until(() => Left() == 395);
        Assert.Empty(server.Leases);
        Assert.Equal("x", (await host.CallTool("echo", """{"text":"x"}""", token)).Text);
    }

    [Fact]
    [Trait("Invariant", "11")]
    public async Task Host_ThatStops_ReturnsWhatItHolds()
    {
        server.Budgets["echo"] = 400;
        await using (ToolHost host = await ToolHost.StartAsync(server))
            Assert.Equal("x", (await host.CallTool("echo", """{"text":"x"}""", Token(host, 400))).Text);
        Assert.Equal(399, Left());
        Assert.Empty(server.Leases);
    }

    [Fact]
    [Trait("Invariant", "11")]
    public async Task Calls_OfManyAtOnce_RunAsOftenAsTheBudgetHasIt()
    {
        server.Budgets["echo"] = 30;
        await using ToolHost host = await ToolHost.StartAsync(server);
        string token = Token(host, 30);
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => host.CallTool("echo", """{"text":"many"}""", token)));
        Assert.Equal((30, 20), (answers.Count(a => a.Text == "many"), answers.Count(a => a.Denial == "budget_spent")));
        Assert.Equal(30, host.Runs.All.Count(r => r == "echo many"));
        Assert.Equal((0, 0), (Left(), server.Returned));
    }

    [Fact]
    [Trait("Invariant", "11")]
    public async Task Lease_ThatIsOver_IsNeitherUsedNorReturned()
    {
        // Shorter than the guard's margin: nothing of it may be used.
        (server.Budgets["echo"], server.LeaseSeconds) = (400, 1);
        await using ToolHost host = await ToolHost.StartAsync(server);
        string token = Token(host, 400);
        for (int i = 0; i < 3; i++) Assert.Equal("x", (await host.CallTool("echo", """{"text":"x"}""", token)).Text);
        Assert.Equal(3, server.BudgetRequests);
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.Equal(0, server.Returned);
    }

    [Fact]
    public async Task Grants_DoNotShareALease()
    {
        server.Budgets["echo"] = 400;
        await using ToolHost host = await ToolHost.StartAsync(server);
        Assert.Equal("x", (await host.CallTool("echo", """{"text":"x"}""", Token(host, 400))).Text);
        int asked = server.BudgetRequests;
        Assert.Equal("x", (await host.CallTool("echo", """{"text":"x"}""", Token(host, 400, "grt_other"))).Text);
        Assert.Equal(asked + 1, server.BudgetRequests);
    }

    private string Token(ToolHost host, int calls, string? grant = null)
    {
        string details = MessageTests.Details(host.Resource, $$$"""{"echo":{"max_calls":{{{calls}}}}}""");
        return server.Token(grant is null ? new() { Details = details } : new() { Details = details, Grant = grant });
    }

    private int Left()
    {
        lock (server.Budgets) return server.Budgets["echo"];
    }

    private static async Task Until(Func<bool> so)
    {
        for (int i = 0; i < 600 && !so(); i++) await Task.Delay(50);
        Assert.True(so());
    }
}
