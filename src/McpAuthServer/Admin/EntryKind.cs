using System.Data.Common;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <summary>A kind of registered object, as its entry in an apply file: what is read here can be changed and sent back. Secrets are never told.</summary>
/// <param name="Path">Of its collection.</param>
/// <param name="Section">Of the file.</param>
/// <param name="Read">A row as an entry; members that would say nothing are left out.</param>
/// <param name="More">What stands in rows of their own: its statement by id, the member, and how a row reads.</param>
internal sealed record EntryKind(
    string Path, string Section, string What, Sql One, Sql Page, Func<DbDataReader, JsonObject> Read, (Sql Rows, string Member, Func<DbDataReader, JsonObject> Read)? More = null)
{
    public static readonly IReadOnlyList<EntryKind> All =
    [
        Of("agents", "agents", "agent", "agents",
            "id, name, owner, purpose, tool_class, state, ceiling, hand_off_to, require_dpop, client_credentials, max_task_seconds, review_at", "1 = 1", Agent)
            with { More = (new("select issuer_id, client_id, selectors from trust_bindings where agent_id = @id order by issuer_id, selectors"), "trust", Binding) },
        Of("workload-issuers", "workload_issuers", "workload issuer", "workload_issuers", "id, name, kind, issuer, audience, jwks, jwks_uri, longest_seconds, state", "1 = 1", Issuer),
        Of("identity-providers", "identity_providers", "identity provider", "identity_providers", "id, name, issuer, jwks, jwks_uri, clients, link_domains, provision, state", "1 = 1", Provider)
            with { More = (new("select subject, user_id from identities where provider_id = @id and origin = 'registered' order by subject"), "links", Link) },
        Of("clients", "clients", "client", "clients",
            """
            id, name, agent_id, auth_method, jwks, grant_types, legacy_audience, authority, redirect_uris, post_logout_redirect_uris, tool_servers, introspects, state,
            certificates, certificate_subject, binds_to_certificate, administers
            """, "origin = 'registered'", Client),
        Of("tool-servers", "tool_servers", "tool server", "tool_servers", "id, resource, name, owner, state, development", "1 = 1", ToolServer)
            with { More = (new("select name, sensitivity, class, approval, state, digest, on_change from tools where tool_server = @id order by name"), "tools", Tool) },
    ];

    /// <summary>What is told of an entry beside what a file has, and passed over when it is sent back.</summary>
    public static readonly string[] Told = ["review_overdue"];

    /// <summary>Adds what only the clock knows.</summary>
    public static void Tell(JsonObject entry, DateTimeOffset now)
    {
        if (entry["review_at"] is { } date && (string)entry["state"]! != RegistryState.Retired && DateTimeOffset.Parse((string)date!, System.Globalization.CultureInfo.InvariantCulture) <= now)
            entry["review_overdue"] = true;
    }

    private static EntryKind Of(string path, string section, string what, string table, string columns, string only, Func<DbDataReader, JsonObject> read) => new(
        path, section, what, new($"select {columns} from {table} where id = @id and {only}"),
        new($"select {columns} from {table} where id > @after and {only} order by id limit @limit"), read);

    private static JsonObject Agent(DbDataReader r)
    {
        var entry = new JsonObject
        {
            ["id"] = r.GetString(0), ["name"] = r.GetString(1), ["owner"] = r.GetString(2), ["purpose"] = r.GetString(3), ["state"] = r.GetString(5),
            ["ceiling"] = JsonNode.Parse(r.GetString(6)), ["hand_off_to"] = Texts(r.GetString(7)), ["require_dpop"] = r.GetInt64(8) != 0, ["client_credentials"] = r.GetInt64(9) != 0,
            ["max_task_seconds"] = r.GetInt64(10),
        };
        Put(entry, "tool_class", Text(r, 4));
        if (!r.IsDBNull(11))
            entry["review_at"] = DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(11)).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFK", System.Globalization.CultureInfo.InvariantCulture);
        return entry;
    }

    private static JsonObject Binding(DbDataReader r) => new()
    {
        ["issuer"] = r.GetString(0), ["client"] = r.GetString(1),
        ["select"] = new JsonObject(StoredText.ToMap(r.GetString(2)).OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value))),
    };

    private static JsonObject Issuer(DbDataReader r)
    {
        var entry = new JsonObject
        {
            ["id"] = r.GetString(0), ["name"] = r.GetString(1), ["kind"] = r.GetString(2), ["issuer"] = r.GetString(3), ["max_seconds"] = r.GetInt64(7), ["state"] = r.GetString(8),
        };
        Put(entry, "audience", Text(r, 4));
        PutJson(entry, "jwks", Text(r, 5));
        Put(entry, "jwks_uri", Text(r, 6));
        return entry;
    }

    private static JsonObject Provider(DbDataReader r)
    {
        var entry = new JsonObject { ["id"] = r.GetString(0), ["name"] = r.GetString(1), ["issuer"] = r.GetString(2), ["clients"] = Texts(r.GetString(5)), ["state"] = r.GetString(8) };
        PutJson(entry, "jwks", Text(r, 3));
        Put(entry, "jwks_uri", Text(r, 4));
        PutJson(entry, "link_by_email", r.GetString(6));
        PutJson(entry, "provision", Text(r, 7));
        return entry;
    }

    private static JsonObject Link(DbDataReader r) => new() { ["subject"] = r.GetString(0), ["user"] = r.GetString(1) };

    private static JsonObject Client(DbDataReader r)
    {
        var entry = new JsonObject
        {
            ["id"] = r.GetString(0), ["name"] = r.GetString(1), ["auth_method"] = r.GetString(3), ["grant_types"] = Texts(r.GetString(5)), ["state"] = r.GetString(12),
            ["legacy_audience"] = r.GetInt64(6) != 0, [Names.Mtls.BoundAccessTokens] = r.GetInt64(15) != 0, ["administers"] = r.GetInt64(16) != 0,
        };
        Put(entry, "agent", Text(r, 2));
        PutJson(entry, "jwks", Text(r, 4));
        // An empty list would be a statement: of no authority beside an agent's, of a certificate that nobody has.
        PutJson(entry, "authority", r.GetString(7));
        PutJson(entry, "redirect_uris", r.GetString(8));
        PutJson(entry, "post_logout_redirect_uris", r.GetString(9));
        PutJson(entry, "tool_servers", r.GetString(10));
        PutJson(entry, "certificates", r.GetString(13));
        Put(entry, "introspects", Text(r, 11));
        if (Text(r, 14)?.Split('=', 2) is [var parameter, var subject])
            entry[parameter] = subject;
        return entry;
    }

    private static JsonObject ToolServer(DbDataReader r) => new()
    {
        ["id"] = r.GetString(0), ["resource"] = r.GetString(1), ["name"] = r.GetString(2), ["owner"] = r.GetString(3), ["state"] = r.GetString(4),
        ["development"] = r.GetInt64(5) != 0,
    };

    private static JsonObject Tool(DbDataReader r)
    {
        // Of a tool that is new or has drifted the state is none that a file may say: sent back unread, it approves nothing.
        var entry = new JsonObject { ["name"] = r.GetString(0), ["sensitivity"] = r.GetString(1), ["approval"] = r.GetString(3), ["on_change"] = r.GetString(6), ["state"] = r.GetString(4) };
        Put(entry, "class", Text(r, 2));
        Put(entry, "digest", Text(r, 5));
        return entry;
    }

    private static JsonArray Texts(string stored) => new([.. StoredText.ToSet(stored).Order(StringComparer.Ordinal).Select(text => (JsonNode?)text)]);

    private static void Put(JsonObject entry, string member, string? text)
    {
        if (text is not null)
            entry[member] = text;
    }

    private static void PutJson(JsonObject entry, string member, string? json)
    {
        if (json is not (null or "" or "[]"))
            entry[member] = JsonNode.Parse(json);
    }

    private static string? Text(DbDataReader r, int column) => r.IsDBNull(column) ? null : r.GetString(column);
}
