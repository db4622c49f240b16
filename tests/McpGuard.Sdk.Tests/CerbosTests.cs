using System.Runtime.InteropServices;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;

namespace McpGuard.Sdk.Tests;

/// <summary>The guard beside a decision point that others wrote: Cerbos, over its AuthZEN API, as its vendor delivers it.</summary>
public sealed class CerbosTests
{
    /// <summary>To Cerbos, the subject's type is a role, and policies see the properties of subject and resource.</summary>
    private const string Policy = """
        apiVersion: api.cerbos.dev/v1
        resourcePolicy:
          resource: tool_server
          version: default
          rules:
            - actions: ["*"]
              effect: EFFECT_ALLOW
              roles: ["user"]
              condition:
                match:
                  expr: R.attr.sensitivity == "read"
            - actions: ["refund"]
              effect: EFFECT_ALLOW
              roles: ["user"]
              condition:
                match:
                  expr: '"support" in P.attr.groups && P.attr.agent == "agt_42"'
            - actions: ["resource:read"]
              effect: EFFECT_ALLOW
              roles: ["agent"]
        """;

    [CerbosFact]
    public async Task Calls_AreDecidedByWhatCerbosSays()
    {
        using var folder = new TempDirectory();
        (int http, int grpc) = (FreePort.Next(), FreePort.Next());
        folder.Write("policies/tool_server.yaml", Policy);
        string configuration = folder.Write("cerbos.yaml", $$"""
            server: { httpListenAddr: "127.0.0.1:{{http}}", grpcListenAddr: "127.0.0.1:{{grpc}}" }
            storage: { driver: disk, disk: { directory: "{{folder["policies"]}}", watchForChanges: false } }
            telemetry: { disabled: true }
            """);
        await using ChildProcess cerbos = ChildProcess.Start(CerbosFactAttribute.Program, ["server", "--config=" + configuration], new Dictionary<string, string?> { ["CERBOS_NO_TELEMETRY"] = "1" }, folder.Path);
        await cerbos.WaitForHealthAsync(new Uri($"http://127.0.0.1:{http}/.well-known/authzen-configuration"), TimeSpan.FromSeconds(60));

        await using FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.DecisionPoints.Add(new("cerbos", new Uri($"http://127.0.0.1:{http}")) { Timeout = TimeSpan.FromSeconds(2) }));

        // 1. By the sensitivity that the administrator set, and by who calls through which agent.
        Assert.Null((await host.CallTool("echo", """{"text":"a"}""", server.Token(new() { Sub = "usr_7" }))).Denial);
        var support = new TokenShape { Sub = "usr_7", Groups = ["support"], Actors = ["agt_42"], Scope = "tool:refund resources:read" };
        Assert.Equal("refunded", (await host.CallTool("refund", """{"order_id":"yes"}""", server.Token(support))).Text);
        foreach (TokenShape other in new[] { support with { Groups = ["staff"] }, support with { Actors = ["agt_1"] }, support with { Actors = [] } })
            Assert.Equal("policy_denied", (await host.CallTool("refund", """{"order_id":"no"}""", server.Token(other with { Jti = McpAuth.Protocol.Id.New("at_", DateTimeOffset.UtcNow) }))).Denial);
        Assert.Equal(["refund yes 500"], host.Runs.All.Where(r => r.StartsWith("refund", StringComparison.Ordinal)));

        // 2. What is no tool, for another kind of subject.
        Assert.Equal("policy_denied", (await host.Do("resources/read", "\"uri\":\"file:///public/readme\"", server.Token(support), "file:///public/readme")).Denial);
        string agent = server.Token(new() { Sub = "agt_9", Actors = [], Scope = "resources:read" });
        Assert.Null((await host.Do("resources/read", "\"uri\":\"file:///public/readme\"", agent, "file:///public/readme")).Denial);

        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny", Tool: "refund" });
        Assert.Equal(("policy_denied: pdp_denied cerbos", "deny"), (e.Reason, (string?)e.Data!["points"]!["cerbos"]));

        // 3. A decision point that hangs, and one that has ended, deny.
        cerbos.Pause();
        Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"b"}""", server.Token(new() { Sub = "usr_7" }))).Denial);
        await server.Event(e => e is { Type: AuditTypes.CallDecided, Reason: "policy_denied: pdp_timeout cerbos" });
        cerbos.Continue();
        await cerbos.StopAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"c"}""", server.Token(new() { Sub = "usr_7" }))).Denial);
        await server.Event(e => e is { Type: AuditTypes.CallDecided, Reason: "policy_denied: pdp_error cerbos" });
    }
}

/// <summary>A fact that needs Cerbos, which <c>tests/interop/package-lock.json</c> names and npm installs on Linux on x64.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class CerbosFactAttribute() : SkipUnlessFactAttribute(new Requirement(
    RuntimeInformation.OSArchitecture == Architecture.X64 && File.Exists(Program), "Cerbos is not installed: 'npm ci --prefix tests/interop' does that on Linux on x64."))
{
    public static string Program => InteropClients.Package("@cerbos/cerbos-linux-x64/cerbos-linux-x64");
}
