using System.Net;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>
/// One of the endpoints that authenticate clients, and a request to it that would succeed but for the client assertion, which the test
/// brings. What it would do is visible in the rows: a token, an instance, the end of an instance.
/// </summary>
internal sealed class Door
{
    public const string Token = "token", Instances = "instances", Revocation = "revocation", Pushing = "pushing";

    private readonly Dictionary<string, string> form;
    private readonly string name;

    private Door(Scenario scenario, string name, Dictionary<string, string> form) => (Scenario, this.name, this.form) = (scenario, name, form);

    public static IReadOnlyList<string> All { get; } = [Token, Instances, Revocation, Pushing];

    public Scenario Scenario { get; }

    public string Path => name switch { Token => Names.Paths.Token, Instances => Names.Paths.Instances, Pushing => Names.Paths.PushedRequests, _ => Names.Paths.Revoke };

    /// <summary>The event of a client that was not let in.</summary>
    public string RefusalType => name switch { Token or Pushing => AuditTypes.ClientRefused, Instances => AuditTypes.InstanceRefused, _ => AuditTypes.TokenRevoked };

    /// <summary>Every case at every door.</summary>
    public static TheoryData<string, string> Times(IEnumerable<string> cases)
    {
        var data = new TheoryData<string, string>();
        foreach (var c in cases)
            foreach (var door in All)
                data.Add(c, door);
        return data;
    }

    public static async Task<Door> OfAsync(TestServer server, string name)
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        return await OfAsync(s, name);
    }

    public static async Task<Door> OfAsync(Scenario s, string name)
    {
        var form = new Dictionary<string, string>();
        if (name == Token)
        {
            form["grant_type"] = Names.OAuth.ClientCredentials;
            form["authorization_details"] = s.Details(["read_file"], new() { ["purpose"] = "read one" }).ToJsonString();
        }
        else if (name == Pushing)
        {
            var query = System.Web.HttpUtility.ParseQueryString(s.AuthorizeQuery("read one", ["read_file"]));
            form = query.AllKeys.Where(k => k != Names.OAuth.ClientId).ToDictionary(k => k!, k => query[k]!);
        }
        else if (name == Revocation)
        {
            await s.Agent.AttestAsync();
            form["token"] = s.Agent.InstanceToken;
        }
        return new Door(s, name, form);
    }

    public async Task<HttpResponseMessage> KnockAsync(string assertion, Dictionary<string, string>? more = null, HttpClient? client = null)
    {
        var all = new Dictionary<string, string>(form)
        {
            [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = assertion,
        };
        // A pushed request names its client, and that is who the assertion says (RFC 9126 §2).
        if (name == Pushing)
            all[Names.OAuth.ClientId] = Claimed(assertion) ?? Scenario.Agent.ClientId;
        foreach (var (key, value) in more ?? [])
            all[key] = value;
        return await Scenario.Agent.PostFormAsync(Path, all, name == Instances ? "" : null, client);
    }

    /// <summary>401, nothing minted, ended or used up, one event.</summary>
    public async Task StaysShutAsync(string assertion, string reason, Dictionary<string, string>? more = null)
    {
        var server = Scenario.Server;
        var used = await UsedAsync(server);
        var refusal = await server.RefusedAsync(() => KnockAsync(assertion, more), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, RefusalType, reason);
        Assert.Equal(used, await UsedAsync(server));
        Assert.DoesNotContain(assertion.Split('.')[^1] is { Length: > 8 } signature ? signature : assertion, refusal.ToString(), StringComparison.Ordinal);
    }

    /// <summary>Whom an assertion is of, however spoilt it is.</summary>
    private static string? Claimed(string assertion)
    {
        try
        {
            return Answers.Claims(assertion) is { ValueKind: JsonValueKind.Object } claims && claims.TryGetProperty("iss", out var iss) && iss.ValueKind == JsonValueKind.String ? iss.GetString() : null;
        }
        catch (Exception e) when (e is FormatException or JsonException or IndexOutOfRangeException)
        {
            return null;
        }
    }

    public static Task<long> UsedAsync(TestServer server) => server.ScalarAsync("select count(*) from used_once");
}
