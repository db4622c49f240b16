using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>OAuth libraries that others wrote, unchanged: they send what the standards say, and check every answer against them.</summary>
[Collection(People.Name)]
public sealed class LibraryClientTests(People people)
{
    [InteropFact]
    [Trait("Suite", "interop")]
    [Trait("Spec", "RFC9126-2.2")]
    [Trait("Spec", "RFC8628-3.5")]
    [Trait("Spec", "RFC9449-5")]
    [Trait("Spec", "RFC9449-8")]
    public async Task OAuth4WebApi_PushesRedeemsRenewsRevokesPollsAndExchanges()
    {
        await using Visitor ann = await people.NewVisitorAsync();
        TestAgent agent = people.Deployment.First;
        var plan = new JsonObject
        {
            ["issuer"] = people.Deployment.Issuer, ["resource"] = people.Files.Resource, ["program"] = People.LibraryClient,
            ["agent"] = new JsonObject { ["client_id"] = agent.ClientId, ["key"] = Convert.ToBase64String(agent.Key.ExportPkcs8()) },
            ["service"] = new JsonObject { ["client_id"] = People.ServiceClient, ["secret"] = People.ServiceSecret },
            ["tool"] = "read_file", ["arguments"] = new JsonObject { ["path"] = "reports/q1.md" },
        };
        await using var program = new InteropProgram("oauth4webapi.mjs", plan);

        await People.AllowAsync(ann, await program.AddressAsync("authorize"));
        await People.AllowDeviceAsync(ann, await program.AddressAsync("device"));

        Assert.Equal(
            // "nonce": refused once for want of the server's, with which it is sent again (RFC 9449 §8).
            ["discovery", "nonce", "pushed", "authorize", "tokens", "call", "renewed", "call", "revoked", "device", "device-tokens", "call", "own", "call", "nonce", "attested", "exchanged", "call", "done"],
            await program.EventsAsync());
        Assert.True(program.One("discovery")["same"]!.GetValue<bool>());
        Assert.Equal("""{"event":"tokens","type":"dpop","scope":"tools:read","refreshable":true}""", program.One("tokens").ToJsonString());
        Assert.Equal("""{"event":"renewed","type":"dpop","rotated":true}""", program.One("renewed").ToJsonString());
        Assert.Equal("invalid_grant", program.One("revoked")["error"]!.GetValue<string>());
        Assert.Equal(("bearer", "dpop"), (program.One("device-tokens")["type"]!.GetValue<string>(), program.One("exchanged")["type"]!.GetValue<string>()));
        Assert.All(program.All("call"), call => Assert.Equal((200, true), (call["status"]!.GetValue<int>(), call["ran"]!.GetValue<bool>())));
        Assert.Empty(ann.Complaints);
    }
}
