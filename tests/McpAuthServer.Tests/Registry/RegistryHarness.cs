using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Storage;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace McpAuthServer.Tests.Registry;

/// <summary>A node with the registry on it, and what tests ask about it.</summary>
internal sealed class RegistryHarness(TestStore store, ManualTime time)
{
    private static readonly string[] RegistryTables =
        ["registry", "users", "accounts", "sessions", "groups", "group_members", "agents", "clients", "tool_servers", "enrolment_secrets", "tools", "edges", "revocations"];

    public static KeyEncryption Keys { get; } = new(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray());

    public static Issuer Issuer { get; } = new("https://auth.example");

    public ManualTime Time => time;
    public ICommitLog Log => store.Log;
    public IReadStore Reads => store.Reads;
    public static IPasswordHasher<Account> Hasher { get; } = new PasswordHasher<Account>(Options.Create(new PasswordHasherOptions { IterationCount = 1 }));
    public RegistryApply Apply { get; } = new(store.Log, store.Reads, Keys, Hasher, Issuer, time);
    public RegistryReader Reader { get; } = new(store.Reads);

    public Task<ApplyOutcome> File(JsonNode document) => File(document.ToJsonString());

    public Task<ApplyOutcome> File(string text) => Apply.Apply(Encoding.UTF8.GetBytes(text));

    /// <summary>Applies what must be applied.</summary>
    public async Task<int> Applied(JsonNode document)
    {
        var outcome = await File(document);
        Assert.Empty(outcome.Faults);
        return outcome.Changed;
    }

    public async Task<RegistrySnapshot> Snapshot() => await Reader.Load(CancellationToken.None);

    /// <summary>Every row of everything registered, and of the revocation feed.</summary>
    public async Task<string> Dump() => string.Join('\n', await Task.WhenAll(RegistryTables.Select(Rows)));

    public async Task<string> Rows(string table)
    {
        var rows = await Query($"select * from {table}");
        return table + "\n" + string.Join('\n', rows.Order(StringComparer.Ordinal));
    }

    public async Task<List<string>> Query(string sql) => await Reads.All(new Sql(sql).With(), row =>
        string.Join('|', Enumerable.Range(0, row.FieldCount).Select(i => row.GetValue(i) switch
        {
            byte[] blob => Convert.ToHexString(blob),
            DBNull => "null",
            var value => Convert.ToString(value, CultureInfo.InvariantCulture),
        })), CancellationToken.None);

    public async Task<List<AuditEvent>> Events() =>
        (await Reads.All(new Sql("select body from audit_events order by place").With(), row => row.GetString(0), CancellationToken.None))
            .ConvertAll(body => JsonSerializer.Deserialize<AuditEvent>(body)!);

    /// <summary>The events of what <paramref name="act"/> does.</summary>
    public async Task<List<AuditEvent>> EventsOf(Func<Task> act)
    {
        var before = (await Events()).Count;
        await act();
        return (await Events())[before..];
    }

    public Task Execute(string sql, params object?[] values) => store.Do(tx => tx.Run(new Sql(sql).With(values)), StateLock.Exclusive);
}

/// <summary>A valid file that uses every member there is, to change at will.</summary>
internal static class ApplyFile
{
    public const string ClientSecret = "client-secret-0123456789-abcdefghij", EnrolmentSecret = "enrolment-secret-0123456789-abcdefg", Password = "password of ada";

    private static readonly string Jwk = NewJwk();

    public static JsonObject Full() => JsonNode.Parse($$$$"""
        {
          "$schema": "urn:mcpauth:schema:apply:1",
          "groups": [{"id": "grp_support", "name": "Support"}, {"id": "grp_all", "name": "All"}],
          "users": [
            {"id": "usr_ada", "name": "Ada", "email": "ada@example.com", "groups": ["grp_support"], "enabled": true,
             "administrator": true, "password": "{{{{Password}}}}"},
            {"id": "usr_bob", "name": "Bob", "email": "bob@example.com",
             "password_hash": "AQAAAAIAAzRQAAAAEEsDvDswDQKDiQL/ulxFAvQzOcXpH80gRDkukCLYc9mDKnuR0MP7HjBTTo4J2WWRMA=="}],
          "agents": [
            {"id": "agt_refunds", "name": "Refunds", "owner": "usr_ada", "purpose": "Refunds orders", "tool_class": "support", "state": "active",
             "ceiling": [{
               "type": "mcp_tool_call", "locations": ["https://files.example/mcp"], "actions": ["tools/call"],
               "tools": {"refund": {
                 "args": {
                   "order": {"constraint_type": "exact", "value": "o-9"}, "amount": {"constraint_type": "range", "min": 0, "max": 500, "min_inclusive": false, "max_inclusive": true},
                   "reason": {"constraint_type": "one_of", "values": ["late", "broken"]}, "not": {"constraint_type": "not_one_of", "values": [1]},
                   "tags": {"constraint_type": "contains", "values": ["a"]}, "sub": {"constraint_type": "subset", "values": ["a", "b"]},
                   "pre": {"constraint_type": "prefix", "value": "x"}, "path": {"constraint_type": "path_under", "value": "/a/b"},
                   "both": {"constraint_type": "all", "of": [{"constraint_type": "wildcard"}]},
                   "some": {"constraint_type": "any", "of": [{"constraint_type": "exact", "value": null}]}},
                 "optional": ["reason"], "def_digest": "sha-256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "max_calls": 3, "approval": "required"}},
               "resources": [{"constraint_type": "prefix", "value": "file:///orders/"}], "prompts": ["greet"]}],
             "hand_off_to": ["agt_reader"], "require_dpop": true, "client_credentials": true, "max_task_seconds": 3600, "review_at": "2027-01-01T00:00:00Z",
             "trust": [{"issuer": "wli_cluster", "client": "refunds-workload", "select": {"namespace": "prod", "service_account_uid": "a087"}}]},
            {"id": "agt_reader", "name": "Reader", "owner": "usr_ada", "purpose": "Reads", "ceiling": []}],
          "tool_classes": [{"name": "money", "exclusive": true}, {"name": "support"}],
          "workload_issuers": [
            {"id": "wli_cluster", "name": "Cluster", "kind": "kubernetes", "issuer": "https://oidc.cluster.example", "audience": "mcpauth", "jwks": {"keys": [{{{{Jwk}}}}]},
             "max_seconds": 7200, "state": "active"},
            {"id": "wli_corp", "name": "Trust domain", "kind": "spiffe", "issuer": "spiffe://corp.example", "jwks_uri": "https://spire.example/bundle"}],
          "identity_providers": [
            {"id": "idp_corp", "name": "Corporate identity", "issuer": "https://idp.example", "jwks": {"keys": [{{{{Jwk}}}}]}, "clients": ["refunds-client", "hashed"],
             "links": [{"subject": "00u1", "user": "usr_ada"}], "link_by_email": ["example.com"],
             "provision": {"email_domains": ["example.com", "example.org"], "groups": {"CN=Support": "grp_support"}}, "state": "active"},
            {"id": "idp_other", "name": "Another", "issuer": "https://other-idp.example/tenant", "jwks_uri": "https://other-idp.example/keys", "clients": ["hashed"]}],
          "clients": [
            {"id": "refunds-client", "name": "Refunds software", "agent": "agt_refunds", "auth_method": "private_key_jwt",
             "jwks": {"keys": [{{{{Jwk}}}}]}, "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
             "legacy_audience": true, "state": "active"},
            {"id": "https://batch.example/job", "name": "Batch", "auth_method": "client_secret_basic", "secret": "{{{{ClientSecret}}}}",
             "grant_types": ["client_credentials"],
             "authority": [{"type": "mcp_tool_call", "locations": ["https://files.example/mcp"], "actions": ["tools/call"], "tools": {"read_order": {}}}]},
            {"id": "hashed", "name": "Hashed", "auth_method": "client_secret_post",
             "secret_hash": "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "grant_types": [], "introspects": "srv_files"},
            {"id": "public", "name": "Public", "auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
             "redirect_uris": ["http://127.0.0.1/callback", "com.example.app:/done"], "post_logout_redirect_uris": ["https://public.example/bye"], "tool_servers": ["srv_files"]},
            {"id": "by-dn", "name": "By subject", "auth_method": "tls_client_auth", "grant_types": [], "tls_client_auth_subject_dn": "CN=agent,O=Example",
             "tls_client_certificate_bound_access_tokens": true},
            {"id": "by-dns", "name": "By host", "auth_method": "tls_client_auth", "grant_types": [], "tls_client_auth_san_dns": "agent.example"},
            {"id": "by-uri", "name": "By URI", "auth_method": "tls_client_auth", "grant_types": [], "tls_client_auth_san_uri": "spiffe://example.org/agent"},
            {"id": "by-ip", "name": "By address", "auth_method": "tls_client_auth", "grant_types": [], "tls_client_auth_san_ip": "2001:db8::1"},
            {"id": "by-email", "name": "By e-mail", "auth_method": "tls_client_auth", "grant_types": [], "tls_client_auth_san_email": "agent@example.org"},
            {"id": "self-signed", "name": "Self-signed", "auth_method": "self_signed_tls_client_auth", "grant_types": [],
             "certificates": ["3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]},
            {"id": "refunds-workload", "name": "Refunds in the cluster", "agent": "agt_refunds", "auth_method": "instance_key", "grant_types": []},
            {"id": "ops", "name": "Operations", "auth_method": "self_signed_tls_client_auth", "grant_types": ["client_credentials"],
             "certificates": ["3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"], "administers": true}],
          "tool_servers": [
            {"id": "srv_files", "resource": "https://files.example/mcp", "name": "Files", "owner": "usr_ada", "state": "active", "development": false,
             "enrolment_secrets": ["{{{{EnrolmentSecret}}}}"], "enrolment_secret_hashes": ["3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"],
             "tools": [
               {"name": "refund", "sensitivity": "destructive", "class": "money", "approval": "required", "state": "approved",
                "digest": "sha-256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
               {"name": "read_order", "sensitivity": "read"}]},
            {"id": "srv_ledger", "resource": "http://127.0.0.1:8080/mcp", "name": "Ledger", "owner": "usr_bob", "development": false,
             "tools": [{"name": "post", "sensitivity": "write", "on_change": "accept"}]}],
          "edges": [{"from": {"server": "srv_files", "tool": "refund"}, "to": {"server": "srv_ledger", "tools": ["post"]}}]
        }
        """)!.AsObject();

    /// <summary>The full file with one place changed.</summary>
    /// <param name="place">e.g. <c>agents[0].owner</c>.</param>
    /// <param name="json">The new value's JSON; null removes the member.</param>
    public static JsonObject With(string place, string? json) => Full().With(place, json);

    public static JsonObject With(this JsonObject file, string place, string? json)
    {
        var steps = place.Replace("[", ".[", StringComparison.Ordinal).Split('.', StringSplitOptions.RemoveEmptyEntries);
        JsonNode node = file;
        foreach (var step in steps[..^1])
            node = step[0] == '[' ? node[int.Parse(step[1..^1], CultureInfo.InvariantCulture)]! : node[step]!;
        var value = json is null ? null : JsonNode.Parse(json);
        if (steps[^1][0] == '[')
        {
            var at = int.Parse(steps[^1][1..^1], CultureInfo.InvariantCulture);
            if (at == node.AsArray().Count)
                node.AsArray().Add(value);
            else
                node[at] = value;
        }
        else if (json is null)
            node.AsObject().Remove(steps[^1]);
        else
            node[steps[^1]] = value;
        return file;
    }

    public static string NewJwk()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var point = key.ExportParameters(false).Q;
        using var certificate = TestCertificates.SelfSigned(DateTimeOffset.UnixEpoch, new() { Key = key });
        return $$"""
            {"kty":"EC","crv":"P-256","x":"{{Base64(point.X!)}}","y":"{{Base64(point.Y!)}}","kid":"k1","use":"sig","alg":"ES256","key_ops":["verify"],"ext":true,
             "x5c":["{{Convert.ToBase64String(certificate.RawData)}}"]}
            """;
    }

    private static string Base64(byte[] bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);
}
