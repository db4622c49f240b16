using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Hostile;

/// <summary>
/// After every flow there is, nothing that could be presented or signed with stands in a table, a file of the data directory or a log line,
/// with every logger at its most talkative (invariant 8).
/// </summary>
public sealed partial class SecretsAtRestTests : IAsyncLifetime
{
    private const string WrongSecret = "the-wrong-secret-somebody-typed-0123456789", QuerySecret = "a-secret-put-into-the-query-0123456789";

    private readonly TestServer server = new();
    private readonly byte[] encryptionKey = RandomNumberGenerator.GetBytes(32);
    private readonly List<(string Name, string Secret)> secrets = [];

    public Task InitializeAsync()
    {
        server.Settings["McpAuth:KeyEncryptionKey"] = Convert.ToBase64String(encryptionKey);
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    [Trait("Attack", "92")]
    [Trait("Attack", "162")]
    public async Task Database_FilesAndLogs_AfterEveryFlow_HoldNoSecret()
    {
        var s = await FlowsAsync();
        var places = new List<(string Place, string Text)>();
        foreach (var table in await TextsAsync("select name from sqlite_master where type = 'table'"))
            places.AddRange(await RowsAsync(table));
        foreach (var file in Directory.EnumerateFiles(server.DataDirectory, "*", SearchOption.AllDirectories))
            places.Add((Path.GetFileName(file), Read(file)));
        places.AddRange(server.Logs.Lines.Select(line => ("log", line)));

        // The search finds what is there.
        foreach (var place in new[] { "clients", "audit_events", "tasks", "grants", "guards", "used_once", "signing_keys", "mcpauth.db", "log" })
            Assert.Contains(places, p => p.Place == place && p.Text.Length > 0);
        Assert.Contains(places, p => p.Place == "clients" && p.Text.Contains(s.ServiceClient, StringComparison.Ordinal));
        Assert.Contains(places, p => p.Place is "mcpauth.db" or "mcpauth.db-wal" && p.Text.Contains(s.ServiceClient, StringComparison.Ordinal));
        Assert.Contains(places, p => p.Place == "log" && p.Text.Contains("/token", StringComparison.Ordinal));

        Assert.True(secrets.Count > 20);
        var found = from secret in secrets
                    from place in places
                    where place.Text.Contains(secret.Secret, StringComparison.Ordinal)
                    select $"{secret.Name} stands in {place.Place}";
        Assert.Empty(found.Distinct());
    }

    [Fact]
    [Trait("Attack", "92")]
    public async Task Identifiers_EveryKind_AreDistinctAndOf128Bits()
    {
        var s = await FlowsAsync();
        var ids = await TextsAsync(
            """
            select id from tasks union all select id from grants union all select id from instances union all select id from guards union all select id from audit_events
            union all select jti from audit_events where jti is not null and type <> 'replay.detected'
            """);

        Assert.True(ids.Count > 20, s.Suffix);
        Assert.All(ids, id => Assert.Matches(Identifier(), id));
        // An instance token's jti stands in one event only, and nothing shares an id with anything else.
        Assert.Equal(ids.Where(id => !id.StartsWith("at_", StringComparison.Ordinal)).Distinct().Count(), ids.Count(id => !id.StartsWith("at_", StringComparison.Ordinal)));
    }

    /// <summary>Every endpoint, rightly and wrongly, collecting whatever must not be found again.</summary>
    private async Task<Scenario> FlowsAsync()
    {
        var s = await server.ScenarioAsync(o => (o.FurtherAgents, o.Agent["client_credentials"]) = (1, true));
        Keep("client secret", s.ServiceSecret);
        Keep("Basic credential", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
        Keep("enrolment secret", s.EnrolmentSecret);
        KeepKey("signing key", server.Services.GetRequiredService<SigningKeyRing>().Current.Active);
        KeepBytes("key-encryption key", encryptionKey);
        foreach (var agent in s.Agents)
        {
            KeepKey("client key", agent.ClientKey);
            KeepKey("instance key", agent.Key);
            var form = agent.AssertionForm();
            var proof = agent.Proof(HttpMethod.Post, Names.Paths.Instances);
            KeepJwt("assertion", form[Names.ClientAssertion.Parameter]);
            KeepJwt("proof", proof);
            using var attested = await agent.AttestRawAsync(form, proof);
            using var replayed = await agent.AttestRawAsync(form, proof);
            Assert.True(attested.IsSuccessStatusCode && !replayed.IsSuccessStatusCode);
            await agent.AttestAsync();
            KeepJwt("instance token", agent.InstanceToken);
        }

        var task = await s.Agent.BeginTaskAsync("list_files", "read_file");
        var token = await s.Agent.TaskTokenAsync(task, "read_file");
        var taken = await s.Agents[1].TakeOverAsync(token.AccessToken);
        var service = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        foreach (var (name, text) in new[] { ("task token", token.AccessToken), ("handed-off token", taken.AccessToken), ("service token", service.AccessToken) })
            KeepJwt(name, text);
        await EnrolAsync(s);

        // Refusals, each with something secret in it.
        foreach (var change in new Action<Dictionary<string, string>>[]
        {
            f => f["client_secret"] = WrongSecret, f => f["scope"] = WrongSecret, f => f["resource"] = WrongSecret, f => f["grant_type"] = WrongSecret,
            f => f["authorization_details"] = $"[{{\"{WrongSecret}\":1}}]",
        })
            Assert.False((await s.ServiceTokenAsync(change: change)).IsSuccessStatusCode);
        Keep("secret in a refused request", WrongSecret);
        Assert.False((await server.Client().GetAsync($"/token?client_secret={QuerySecret}")).IsSuccessStatusCode);
        Assert.False((await server.Client().PostAsync($"/token?client_secret={QuerySecret}", new FormUrlEncodedContent([]))).IsSuccessStatusCode);
        Assert.False((await server.Client().GetAsync($"/nowhere?access_token={QuerySecret}")).IsSuccessStatusCode);
        Keep("secret in the query", QuerySecret);
        var foreign = s.Agent.Assertion(key: s.Agents[1].ClientKey);
        KeepJwt("refused assertion", foreign);
        using var refused = await s.Agent.AttestRawAsync(new() { [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer, [Names.ClientAssertion.Parameter] = foreign });
        using var introspected = await s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Introspect, new JsonObject { ["token"] = token.AccessToken }, taken.AccessToken);
        Assert.False(refused.IsSuccessStatusCode || introspected.IsSuccessStatusCode);

        // The ends.
        foreach (var text in new[] { taken.AccessToken, token.AccessToken, s.Agent.InstanceToken })
        {
            var form = s.Agent.AssertionForm();
            form["token"] = text;
            KeepJwt("assertion at revocation", form[Names.ClientAssertion.Parameter]);
            Assert.True((await s.Agent.PostFormAsync(Names.Paths.Revoke, form, proof: null)).IsSuccessStatusCode);
        }
        return s;
    }

    private async Task EnrolAsync(Scenario s)
    {
        using var key = SigningKey.Create();
        KeepKey("guard key", key);
        foreach (var expected in new[] { true, false })
        {
            using var answer = await server.Client().PostAsJsonAsync(Names.Paths.GuardEnroll, new JsonObject
            {
                ["resource"] = s.Resource, ["enrolment_secret"] = s.EnrolmentSecret, ["jwk"] = JsonNode.Parse(key.Public.Jwk.GetRawText()),
            });
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode == expected, text);
            if (expected && JsonNode.Parse(text)!["args_key"] is { } argsKey)
                Keep("argument key", argsKey is JsonObject o ? o["key"]!.ToString() : argsKey.ToString());
        }
    }

    private void Keep(string name, string secret)
    {
        Assert.True(secret.Length >= 16, name);
        secrets.Add((name, secret));
    }

    // The header is no secret; either other part would be of use to somebody.
    private void KeepJwt(string name, string jwt)
    {
        var parts = jwt.Split('.');
        Keep(name, parts[1]);
        Keep(name + "'s signature", parts[2]);
    }

    private void KeepKey(string name, SigningKey key)
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        KeepBytes(name, ecdsa.ExportParameters(includePrivateParameters: true).D!);
        Keep(name + " in PEM", Convert.ToBase64String(key.ExportPkcs8())[40..]);
    }

    private void KeepBytes(string name, byte[] bytes)
    {
        Keep(name, Encoding.Latin1.GetString(bytes));
        Keep(name + " in base64", Convert.ToBase64String(bytes));
        Keep(name + " in base64url", McpAuth.Protocol.Jose.Base64Url.Encode(bytes));
        Keep(name + " in hex", Convert.ToHexString(bytes));
        Keep(name + " in lower-case hex", Convert.ToHexStringLower(bytes));
    }

    private Task<List<string>> TextsAsync(string sql) =>
        server.Services.GetRequiredService<IReadStore>().All(new Sql(sql).With(), r => r.GetString(0), default);

    private Task<List<(string, string)>> RowsAsync(string table) =>
        server.Services.GetRequiredService<IReadStore>().All(new Sql($"select * from {table}").With(), r =>
        {
            var row = new StringBuilder();
            for (var i = 0; i < r.FieldCount; i++)
                row.Append(r.GetValue(i) is byte[] blob ? Encoding.Latin1.GetString(blob) : r.GetValue(i)).Append('\n');
            return (table, row.ToString());
        }, default);

    private static string Read(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return Encoding.Latin1.GetString(bytes);
    }

    [GeneratedRegex("^(tsk|grt|ins|grd|evt|at|it)_[0-9a-f]{32}$")]
    private static partial Regex Identifier();
}
