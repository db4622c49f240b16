using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>OAuth libraries that others wrote, unchanged: they send what the standards say, and check every answer against them.</summary>
[Collection(People.Name)]
public sealed class LibraryClientTests(People people)
{
    [InteropTheory]
    [InlineData("oauth4webapi")]
    [InlineData("openid-client")]
    [Trait("Suite", "interop")]
    [Trait("Spec", "RFC9126-2.2")]
    [Trait("Spec", "RFC8628-3.5")]
    [Trait("Spec", "RFC9449-5")]
    [Trait("Spec", "RFC9449-8")]
    [Trait("Spec", "RFC9701-5")]
    public async Task Library_PushesRedeemsRenewsAsksRevokesPollsAndExchanges(string library)
    {
        await using Visitor ann = await people.NewVisitorAsync();
        TestAgent agent = people.Deployment.First;
        var plan = new JsonObject
        {
            ["issuer"] = people.Deployment.Issuer, ["resource"] = people.Files.Resource, ["program"] = People.LibraryClient,
            ["agent"] = new JsonObject { ["client_id"] = agent.ClientId, ["key"] = Convert.ToBase64String(agent.Key.ExportPkcs8()) },
            ["service"] = new JsonObject { ["client_id"] = People.ServiceClient, ["secret"] = People.ServiceSecret },
            ["introspector"] = new JsonObject { ["client_id"] = People.IntrospectingClient, ["secret"] = People.IntrospectingSecret },
            ["tool"] = "read_file", ["arguments"] = new JsonObject { ["path"] = "reports/q1.md" },
        };
        await using var program = new InteropProgram(library + ".mjs", plan);

        await People.AllowAsync(ann, await program.AddressAsync("authorize"));
        await People.AllowDeviceAsync(ann, await program.AddressAsync("device"));

        Assert.Equal(
            ["discovery", "pushed", "authorize", "tokens", "call", "renewed", "call", "introspected", "introspected", "revoked", "device", "device-tokens", "call", "own", "call", "attested", "exchanged", "call", "done"],
            (await program.EventsAsync()).Where(e => e != "nonce"));
        // Refused once for each key for want of the server's nonce, with which it is sent again (RFC 9449 §8); the other library says nothing of it.
        Assert.Equal(library == "oauth4webapi" ? 2 : 0, program.All("nonce").Count());
        Assert.True(program.One("discovery")["same"]!.GetValue<bool>());
        Assert.Equal("""{"event":"tokens","type":"dpop","scope":"tools:read","refreshable":true}""", program.One("tokens").ToJsonString());
        Assert.Equal("""{"event":"renewed","type":"dpop","rotated":true}""", program.One("renewed").ToJsonString());
        Assert.All(program.All("introspected"), told => Assert.Equal((true, People.LibraryClient), (told["active"]!.GetValue<bool>(), told["client_id"]!.GetValue<string>())));
        Assert.Equal("invalid_grant", program.One("revoked")["error"]!.GetValue<string>());
        Assert.Equal(("bearer", "dpop"), (program.One("device-tokens")["type"]!.GetValue<string>(), program.One("exchanged")["type"]!.GetValue<string>()));
        Assert.All(program.All("call"), call => Assert.Equal((200, true), (call["status"]!.GetValue<int>(), call["ran"]!.GetValue<bool>())));
        Assert.Empty(ann.Complaints);
    }
}
