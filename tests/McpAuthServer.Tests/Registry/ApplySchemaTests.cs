using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Registry.Apply;

namespace McpAuthServer.Tests.Registry;

/// <summary>The published schema and the parser are two statements of one format: what one admits the other does.</summary>
public sealed class ApplySchemaTests
{
    private static readonly JsonNode Schema = Load();

    [Fact]
    public void Schema_FullFile_IsAdmittedByBoth()
    {
        Assert.Null(JsonSchema.Check(Schema, ApplyFile.Full()));
        Assert.Empty(Parse(ApplyFile.Full()));
    }

    [Fact]
    public void Schema_EveryObject_ListsTheParsersMembersAndAdmitsNoOthers()
    {
        var expected = new Dictionary<string, string[]>
        {
            ["#"] = ApplyGrammar.Root, ["user"] = ApplyGrammar.UserMembers, ["group"] = ApplyGrammar.GroupMembers, ["agent"] = ApplyGrammar.AgentMembers,
            ["client"] = ApplyGrammar.ClientMembers, ["jwks"] = ApplyGrammar.JwksMembers, ["jwk"] = ApplyGrammar.JwkMembers,
            ["tool_server"] = ApplyGrammar.ToolServerMembers, ["tool"] = ApplyGrammar.ToolMembers, ["edge"] = ApplyGrammar.EdgeMembers,
            ["trust"] = ApplyGrammar.TrustMembers, ["workload_issuer"] = ApplyGrammar.IssuerMembers, ["tool_class"] = ApplyGrammar.ToolClassMembers,
            ["identity_provider"] = ApplyGrammar.ProviderMembers, ["link"] = ApplyGrammar.LinkMembers,
        };
        foreach (var (name, members) in expected)
            AssertMembers(name == "#" ? Schema : Schema["$defs"]![name]!, members);
        AssertMembers(Schema["$defs"]!["edge"]!["properties"]!["from"]!, ApplyGrammar.EdgeFromMembers);
        AssertMembers(Schema["$defs"]!["edge"]!["properties"]!["to"]!, ApplyGrammar.EdgeToMembers);
        AssertMembers(Schema["$defs"]!["identity_provider"]!["properties"]!["provision"]!, ApplyGrammar.ProvisionMembers);

        // Whatever else is an object is closed too, or a map whose values are.
        foreach (var node in Objects(Schema).Where(IsObjectSchema))
            Assert.True(node["additionalProperties"] is JsonObject || node["additionalProperties"] is JsonValue v && !(bool)v, node.ToJsonString());
    }

    [Fact]
    public void Schema_ItsDefinitions_AreAllUsedAndTheFullFileUsesEveryMember()
    {
        var file = ApplyFile.Full().ToJsonString();
        foreach (var property in Objects(Schema).Where(n => n["properties"] is JsonObject && IsObjectSchema(n))
                     .SelectMany(n => n["properties"]!.AsObject().Select(p => p.Key)).Distinct().Where(p => p is not ("n" or "e")))
        {
            Assert.Contains($"\"{property}\":", file, StringComparison.Ordinal);
        }
        var text = Schema.ToJsonString();
        Assert.All(Schema["$defs"]!.AsObject(), d => Assert.Contains($"\"#/$defs/{d.Key}\"", text, StringComparison.Ordinal));
    }

    /// <summary>
    /// Every place of the full file is removed, given a wrong type, an extra member, an out-of-range value; schema and parser (structure alone: no database,
    /// no references between entries) must agree about each.
    /// </summary>
    [Fact]
    public void Schema_EveryMutationOfTheFullFile_IsJudgedAsTheParserJudgesIt()
    {
        var (judged, refused) = (0, 0);
        var disagreements = new List<string>();
        foreach (var (what, file) in Mutations())
        {
            var schema = JsonSchema.Check(Schema, file);
            var faults = Parse(file);
            if (schema is null ? !faults.All(BeyondTheSchema) : faults.Count == 0)
                disagreements.Add($"{what}: schema says {schema ?? "valid"}, parser says {string.Join("; ", faults)}");
            judged++;
            refused += faults.Count > 0 ? 1 : 0;
        }
        Assert.True(disagreements.Count == 0, string.Join('\n', disagreements));
        // Guards the test itself: most mutations are faults, some are not (an optional member removed).
        Assert.InRange(judged, 800, int.MaxValue);
        Assert.InRange(refused, judged / 2, judged - 20);
    }

    [Theory]
    [InlineData("users[0].id", "usr_a")]
    [InlineData("users[0].id", "usr_")]
    [InlineData("users[0].id", "usr_a\n")]
    [InlineData("users[0].id", "Usr_a")]
    [InlineData("users[0].name", "😀")]
    [InlineData("users[0].name", "a\u0085b")]
    [InlineData("users[0].email", "a@b")]
    [InlineData("users[0].email", "a@b@c")]
    [InlineData("users[0].email", "@b")]
    [InlineData("users[0].email", "a @b")]
    [InlineData("clients[3].id", "grd_1")]
    [InlineData("clients[3].id", "app_1")]
    [InlineData("clients[3].id", "https://a.example/c")]
    [InlineData("clients[3].id", "a b")]
    [InlineData("clients[1].secret", "0123456789012345678901234567890")]
    [InlineData("clients[1].secret", "01234567890123456789012345678901")]
    [InlineData("clients[2].secret_hash", "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI")]
    [InlineData("clients[2].secret_hash", "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")]
    [InlineData("tool_servers[0].tools[0].digest", "sha-256:3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("tool_servers[0].tools[0].digest", "sha-512:3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("tool_servers[0].tools[0].name", "a/b.c-d_e")]
    [InlineData("tool_servers[0].tools[0].name", "a b")]
    [InlineData("tool_servers[0].tools[0].class", "a/b")]
    [InlineData("tool_servers[1].resource", "https://x.example")]
    [InlineData("tool_servers[1].resource", "http://localhost:8080/mcp")]
    [InlineData("tool_servers[1].resource", "http://[::1]:8080/mcp")]
    [InlineData("tool_servers[1].resource", "http://x.example/mcp")]
    [InlineData("tool_servers[1].resource", "http://localhost.x.example/mcp")]
    [InlineData("tool_servers[1].resource", "https://x.example/#f")]
    [InlineData("tool_servers[1].resource", "https:///mcp")]
    [InlineData("clients[4].tls_client_auth_subject_dn", "C=DE")]
    [InlineData("clients[4].tls_client_auth_subject_dn", "2.5.4.3=agent")]
    [InlineData("clients[4].tls_client_auth_subject_dn", "CN= agent")]
    [InlineData("clients[4].tls_client_auth_subject_dn", "agent")]
    [InlineData("clients[5].tls_client_auth_san_dns", "localhost")]
    [InlineData("clients[5].tls_client_auth_san_dns", "a..b")]
    [InlineData("clients[5].tls_client_auth_san_dns", ".a")]
    [InlineData("clients[5].tls_client_auth_san_dns", "a.")]
    [InlineData("clients[6].tls_client_auth_san_uri", "urn:x")]
    [InlineData("clients[6].tls_client_auth_san_uri", "urn:")]
    [InlineData("clients[6].tls_client_auth_san_uri", "/etc/passwd")]
    [InlineData("clients[6].tls_client_auth_san_uri", "https://a b")]
    [InlineData("clients[7].tls_client_auth_san_ip", "10.0.0.1")]
    [InlineData("clients[7].tls_client_auth_san_ip", "::1")]
    [InlineData("clients[7].tls_client_auth_san_ip", "fe80::1%eth0")]
    [InlineData("clients[7].tls_client_auth_san_ip", "[::1]")]
    [InlineData("clients[7].tls_client_auth_san_ip", "10.0.0.1/8")]
    [InlineData("clients[7].tls_client_auth_san_ip", "1")]
    [InlineData("clients[8].tls_client_auth_san_email", "a@b@c")]
    [InlineData("clients[8].tls_client_auth_san_email", "@b")]
    [InlineData("agents[0].review_at", "2027-01-01T00:00:00+02:00")]
    [InlineData("agents[0].review_at", "2027-01-01T00:00:00.1234567Z")]
    [InlineData("agents[0].review_at", "2027-01-01T00:00:00")]
    [InlineData("agents[0].review_at", "2027-01-01 00:00:00Z")]
    public void Schema_EdgeOfAPattern_IsJudgedAsTheParserJudgesIt(string place, string text)
    {
        var file = ApplyFile.With(place, JsonSerializer.Serialize(text));

        var faults = Parse(file);
        Assert.True(JsonSchema.Check(Schema, file) is null == (faults.Count == 0), $"{text}: {string.Join("; ", faults)}");
    }

    /// <summary>What one place says about another, and mathematics: no schema can tell.</summary>
    private static bool BeyondTheSchema(Fault fault) =>
        fault.Code is "duplicate" or "invalid_key" || fault.Path!.EndsWith(".optional", StringComparison.Ordinal) && fault.Message.Contains("among the args", StringComparison.Ordinal);

    private static IEnumerable<(string What, JsonObject File)> Mutations()
    {
        foreach (var place in Places(ApplyFile.Full(), "").Where(p => p.Length > 0))
        {
            if (!place.EndsWith(']'))
                yield return ($"{place} removed", ApplyFile.With(place, null));
            foreach (var value in new[] { "null", "true", "7", "-1", "1.5", "\"\"", "\"x y\"", "\"none\"", "[]", "{}", "[{}]" })
                yield return ($"{place} = {value}", ApplyFile.With(place, value));
        }
        foreach (var place in Places(ApplyFile.Full(), "").Where(p => At(ApplyFile.Full(), p) is JsonObject))
            yield return ($"{place} with another member", ApplyFile.With(place.Length == 0 ? "another" : place + ".another", "1"));
    }

    /// <summary>Every member and element, except inside constrained values and places whose name is free.</summary>
    private static IEnumerable<string> Places(JsonNode? node, string path)
    {
        // Equal lists of values are compared by the grammar, not by the schema; their content is free.
        yield return path;
        IEnumerable<(string Path, JsonNode? Child)> children = node switch
        {
            JsonObject o => o.Select(p => (path.Length == 0 ? p.Key : $"{path}.{p.Key}", p.Value)),
            JsonArray a when !path.EndsWith(".values", StringComparison.Ordinal) => a.Select((item, i) => ($"{path}[{i}]", item)),
            _ => [],
        };
        foreach (var place in children.SelectMany(c => Places(c.Child, c.Path)))
            yield return place;
    }

    private static JsonNode? At(JsonNode file, string place) =>
        place.Replace("[", ".[", StringComparison.Ordinal).Split('.', StringSplitOptions.RemoveEmptyEntries)
            .Aggregate((JsonNode?)file, (node, step) => step[0] == '[' ? node![int.Parse(step[1..^1], System.Globalization.CultureInfo.InvariantCulture)] : node![step]);

    private static IReadOnlyList<Fault> Parse(JsonNode file) => ApplyParser.Parse(Encoding.UTF8.GetBytes(file.ToJsonString())).Faults;

    private static void AssertMembers(JsonNode schema, string[] members)
    {
        Assert.Equal(members.Order(StringComparer.Ordinal), schema["properties"]!.AsObject().Select(p => p.Key).Order(StringComparer.Ordinal));
        Assert.False((bool)schema["additionalProperties"]!);
    }

    /// <summary>Not a list of properties, one of which is called "type".</summary>
    private static bool IsObjectSchema(JsonObject node) => node["type"] is JsonValue type && (string)type! == "object";

    private static IEnumerable<JsonObject> Objects(JsonNode? node)
    {
        if (node is JsonObject o)
            yield return o;
        IEnumerable<JsonNode?> children = node switch { JsonObject c => c.Select(p => p.Value), JsonArray a => a, _ => [] };
        foreach (var child in children.SelectMany(Objects))
            yield return child;
    }

    private static JsonNode Load()
    {
        var assembly = typeof(ApplyParser).Assembly;
        using var stream = assembly.GetManifestResourceStream(Array.Find(assembly.GetManifestResourceNames(), n => n.EndsWith("apply.schema.json", StringComparison.Ordinal))!)!;
        return JsonNode.Parse(stream)!;
    }
}
