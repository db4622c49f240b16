using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;

namespace McpAuthServer.Tests.Registry;

/// <summary>Everything an apply file is refused for: the fault names its place, and nothing is applied.</summary>
public sealed class ApplyRefusalTests : RegistrySuite
{
    private const string Hash = "\"3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";

    private protected override bool OnPostgres => false;

    [Theory]
    // Unknown members, at every level.
    [InlineData("extra", "1", "unknown_member", "$.extra")]
    [InlineData("users[0].extra", "1", "unknown_member", "$.users[0].extra")]
    [InlineData("groups[0].extra", "1", "unknown_member", "$.groups[0].extra")]
    [InlineData("agents[1].extra", "1", "unknown_member", "$.agents[1].extra")]
    [InlineData("clients[3].extra", "1", "unknown_member", "$.clients[3].extra")]
    [InlineData("clients[0].jwks.extra", "1", "unknown_member", "$.clients[0].jwks.extra")]
    [InlineData("clients[0].jwks.keys[0].d", "\"AA\"", "unknown_member", "$.clients[0].jwks.keys[0].d")]
    [InlineData("tool_servers[0].extra", "1", "unknown_member", "$.tool_servers[0].extra")]
    [InlineData("tool_servers[0].tools[1].extra", "1", "unknown_member", "$.tool_servers[0].tools[1].extra")]
    [InlineData("edges[0].extra", "1", "unknown_member", "$.edges[0].extra")]
    [InlineData("edges[0].from.extra", "1", "unknown_member", "$.edges[0].from.extra")]
    [InlineData("edges[0].to.extra", "1", "unknown_member", "$.edges[0].to.extra")]
    [InlineData("users[0].E mail'", "1", "unknown_member", "$.users[0]['E mail\\'']")]
    // Missing members.
    [InlineData("users[0].name", null, "missing_member", "$.users[0].name")]
    [InlineData("agents[1].owner", null, "missing_member", "$.agents[1].owner")]
    [InlineData("agents[1].purpose", null, "missing_member", "$.agents[1].purpose")]
    [InlineData("agents[1].ceiling", null, "missing_member", "$.agents[1].ceiling")]
    [InlineData("clients[3].name", null, "missing_member", "$.clients[3].name")]
    [InlineData("clients[3].auth_method", null, "missing_member", "$.clients[3].auth_method")]
    [InlineData("clients[3].grant_types", null, "missing_member", "$.clients[3].grant_types")]
    [InlineData("clients[0].jwks.keys", null, "missing_member", "$.clients[0].jwks.keys")]
    [InlineData("tool_servers[1].resource", null, "missing_member", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].owner", null, "missing_member", "$.tool_servers[1].owner")]
    [InlineData("tool_servers[0].tools[1].sensitivity", null, "missing_member", "$.tool_servers[0].tools[1].sensitivity")]
    [InlineData("edges[0].to", null, "missing_member", "$.edges[0].to")]
    [InlineData("edges[0].to.tools", null, "missing_member", "$.edges[0].to.tools")]
    // Wrong types.
    [InlineData("edges", "{}", "wrong_type", "$.edges")]
    [InlineData("groups[1]", "\"grp_all\"", "wrong_type", "$.groups[1]")]
    [InlineData("users[0].enabled", "\"true\"", "wrong_type", "$.users[0].enabled")]
    [InlineData("users[0].email", "null", "wrong_type", "$.users[0].email")]
    [InlineData("users[0].groups[0]", "1", "wrong_type", "$.users[0].groups[0]")]
    [InlineData("agents[1].name", "7", "wrong_type", "$.agents[1].name")]
    [InlineData("agents[0].max_task_seconds", "\"60\"", "wrong_type", "$.agents[0].max_task_seconds")]
    [InlineData("agents[0].require_dpop", "1", "wrong_type", "$.agents[0].require_dpop")]
    [InlineData("clients[0].jwks", "[]", "wrong_type", "$.clients[0].jwks")]
    [InlineData("clients[0].jwks.keys[0]", "\"key\"", "wrong_type", "$.clients[0].jwks.keys[0]")]
    [InlineData("edges[0].from", "[]", "wrong_type", "$.edges[0].from")]
    [InlineData("$schema", "1", "wrong_type", "$['$schema']")]
    // Bad identifiers.
    [InlineData("groups[1].id", "\"all\"", "invalid_value", "$.groups[1].id")]
    [InlineData("users[1].groups", "[\"usr_ada\"]", "invalid_value", "$.users[1].groups[0]")]
    [InlineData("agents[1].owner", "\"agt_refunds\"", "invalid_value", "$.agents[1].owner")]
    [InlineData("agents[1].hand_off_to", "[\"usr_ada\"]", "invalid_value", "$.agents[1].hand_off_to[0]")]
    [InlineData("clients[3].id", "\"has space\"", "invalid_value", "$.clients[3].id")]
    [InlineData("clients[3].id", "\"usr_carol\"", "invalid_value", "$.clients[3].id")]
    [InlineData("clients[3].id", "\"agt_carol\"", "invalid_value", "$.clients[3].id")]
    [InlineData("clients[3].id", "\"grd_carol\"", "invalid_value", "$.clients[3].id")]
    [InlineData("clients[3].id", "\"\"", "invalid_value", "$.clients[3].id")]
    [InlineData("clients[3].agent", "\"refunds\"", "invalid_value", "$.clients[3].agent")]
    [InlineData("edges[0].to.server", "\"files\"", "invalid_value", "$.edges[0].to.server")]
    [InlineData("edges[0].to.tools[0]", "\"po st\"", "invalid_value", "$.edges[0].to.tools[0]")]
    // Bad values.
    [InlineData("users[1].name", "\"\"", "invalid_value", "$.users[1].name")]
    [InlineData("users[1].name", "\"two\\nlines\"", "invalid_value", "$.users[1].name")]
    [InlineData("users[1].email", "\"nobody\"", "invalid_value", "$.users[1].email")]
    [InlineData("users[1].email", "\"a@b@c\"", "invalid_value", "$.users[1].email")]
    [InlineData("agents[1].state", "\"paused\"", "invalid_value", "$.agents[1].state")]
    [InlineData("agents[1].state", "\"Active\"", "invalid_value", "$.agents[1].state")]
    [InlineData("agents[1].tool_class", "\"a b\"", "invalid_value", "$.agents[1].tool_class")]
    [InlineData("agents[1].max_task_seconds", "0", "invalid_value", "$.agents[1].max_task_seconds")]
    [InlineData("agents[1].max_task_seconds", "86401", "invalid_value", "$.agents[1].max_task_seconds")]
    [InlineData("agents[1].max_task_seconds", "1.5", "invalid_value", "$.agents[1].max_task_seconds")]
    [InlineData("agents[1].review_at", "\"2027-01-01\"", "invalid_value", "$.agents[1].review_at")]
    [InlineData("agents[1].review_at", "\"2027-01-01T00:00:00\"", "invalid_value", "$.agents[1].review_at")]
    [InlineData("agents[1].review_at", "\"2027-02-30T00:00:00Z\"", "invalid_value", "$.agents[1].review_at")]
    [InlineData("clients[3].auth_method", "\"client_secret_jwt\"", "invalid_value", "$.clients[3].auth_method")]
    [InlineData("clients[3].grant_types[0]", "\"password\"", "invalid_value", "$.clients[3].grant_types[0]")]
    [InlineData("clients[3].tool_servers[0]", "\"srv_nowhere\"", "unknown_reference", "$.clients[3].tool_servers[0]")]
    [InlineData("clients[3].redirect_uris[0]", "\"http://app.example/cb\"", "invalid_redirect_uri", "$.clients[3].redirect_uris[0]")]
    [InlineData("clients[3].redirect_uris", "[]", "missing_member", "$.clients[3].redirect_uris")]
    [InlineData("clients[3].post_logout_redirect_uris[0]", "\"http://app.example/bye\"", "invalid_redirect_uri", "$.clients[3].post_logout_redirect_uris[0]")]
    [InlineData("clients[3].post_logout_redirect_uris[0]", "\"https://app.example/bye?state=1\"", "invalid_redirect_uri", "$.clients[3].post_logout_redirect_uris[0]")]
    [InlineData("clients[3].introspects", "\"srv_files\"", "conflict", "$.clients[3].introspects")]
    [InlineData("clients[2].introspects", "\"srv_nowhere\"", "unknown_reference", "$.clients[2].introspects")]
    [InlineData("clients[2].introspects", "\"files\"", "invalid_value", "$.clients[2].introspects")]
    [InlineData("tool_servers[0].tools[1].sensitivity", "\"harmless\"", "invalid_value", "$.tool_servers[0].tools[1].sensitivity")]
    [InlineData("tool_servers[0].tools[1].approval", "\"maybe\"", "invalid_value", "$.tool_servers[0].tools[1].approval")]
    [InlineData("tool_servers[0].tools[1].state", "\"drifted\"", "invalid_value", "$.tool_servers[0].tools[1].state")]
    [InlineData("tool_servers[0].tools[1].digest", "\"sha256:abc\"", "invalid_value", "$.tool_servers[0].tools[1].digest")]
    [InlineData("tool_servers[0].tools[1].on_change", "\"maybe\"", "invalid_value", "$.tool_servers[0].tools[1].on_change")]
    // What nobody may accept unseen.
    [InlineData("tool_servers[0].tools[0].on_change", "\"accept\"", "conflict", "$.tool_servers[0].tools[0].on_change")]
    [InlineData("tool_servers[1].tools[0].sensitivity", "\"destructive\"", "conflict", "$.tool_servers[1].tools[0].on_change")]
    [InlineData("tool_servers[0].development", "true", "conflict", "$.tool_servers[0].development")]
    [InlineData("tool_servers[1].development", "\"yes\"", "wrong_type", "$.tool_servers[1].development")]
    // Audiences.
    [InlineData("tool_servers[1].resource", "\"/mcp\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"http://files.example/mcp\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"http://localhost.example/mcp\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"https://files.example/mcp#x\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"https://me@files.example/mcp\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"https://@files.example/mcp\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"https:///mcp\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"https://files.example/a b\"", "invalid_value", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[1].resource", "\"urn:files\"", "invalid_value", "$.tool_servers[1].resource")]
    // Duplicates within the file.
    [InlineData("users[2]", "{\"id\":\"usr_ada\",\"name\":\"Again\"}", "duplicate", "$.users[2].id")]
    [InlineData("groups[2]", "{\"id\":\"grp_all\",\"name\":\"Again\"}", "duplicate", "$.groups[2].id")]
    [InlineData("agents[2]", "{\"id\":\"agt_reader\",\"name\":\"Again\",\"owner\":\"usr_ada\",\"purpose\":\"p\",\"ceiling\":[]}", "duplicate", "$.agents[2].id")]
    [InlineData("clients[4]", "{\"id\":\"public\",\"name\":\"Again\",\"auth_method\":\"none\",\"grant_types\":[]}", "duplicate", "$.clients[4].id")]
    [InlineData("tool_servers[2]", "{\"id\":\"srv_ledger\",\"resource\":\"https://other.example\",\"name\":\"n\",\"owner\":\"usr_ada\"}", "duplicate", "$.tool_servers[2].id")]
    [InlineData("tool_servers[1].resource", "\"https://files.example/mcp\"", "duplicate", "$.tool_servers[1].resource")]
    [InlineData("tool_servers[0].tools[2]", "{\"name\":\"refund\",\"sensitivity\":\"read\"}", "duplicate", "$.tool_servers[0].tools[2].name")]
    [InlineData("edges[1]", "{\"from\":{\"server\":\"srv_files\",\"tool\":\"refund\"},\"to\":{\"server\":\"srv_ledger\",\"tools\":[]}}", "duplicate", "$.edges[1]")]
    [InlineData("users[0].groups[1]", "\"grp_support\"", "duplicate", "$.users[0].groups[1]")]
    [InlineData("clients[3].grant_types[1]", "\"authorization_code\"", "duplicate", "$.clients[3].grant_types[1]")]
    [InlineData("tool_servers[1].enrolment_secrets", "[\"" + ApplyFile.EnrolmentSecret + "\"]", "duplicate", "$.tool_servers[1].enrolment_secrets[0]")]
    [InlineData("tool_servers[1].enrolment_secrets", "[\"" + ApplyFile.ClientSecret + "\"]", "duplicate", "$.tool_servers[1].enrolment_secrets[0]")]
    [InlineData("tool_servers[1].enrolment_secret_hashes", "[" + Hash + "]", "duplicate", "$.tool_servers[1].enrolment_secret_hashes[0]")]
    // Who speaks for people.
    [InlineData("identity_providers[0].extra", "1", "unknown_member", "$.identity_providers[0].extra")]
    [InlineData("identity_providers[0].issuer", "\"http://idp.example\"", "invalid_value", "$.identity_providers[0].issuer")]
    [InlineData("identity_providers[0].issuer", "\"https://other-idp.example/tenant\"", "duplicate", "$.identity_providers[1].issuer")]
    [InlineData("identity_providers[0].jwks_uri", "\"https://idp.example/keys\"", "conflict", "$.identity_providers[0].jwks_uri")]
    [InlineData("identity_providers[0].clients", "[]", "invalid_value", "$.identity_providers[0].clients")]
    [InlineData("identity_providers[0].clients", null, "missing_member", "$.identity_providers[0].clients")]
    [InlineData("identity_providers[0].clients[0]", "\"nobody\"", "unknown_reference", "$.identity_providers[0].clients[0]")]
    [InlineData("identity_providers[0].links[1]", "{\"subject\":\"00u1\",\"user\":\"usr_bob\"}", "duplicate", "$.identity_providers[0].links[1].subject")]
    [InlineData("identity_providers[0].links[0].user", "\"usr_nobody\"", "unknown_reference", "$.identity_providers[0].links[0].user")]
    [InlineData("identity_providers[0].link_by_email[0]", "\"Example.com\"", "invalid_value", "$.identity_providers[0].link_by_email[0]")]
    [InlineData("identity_providers[0].provision", "{}", "invalid_value", "$.identity_providers[0].provision")]
    [InlineData("identity_providers[0].provision.email_domains", "[]", "invalid_value", "$.identity_providers[0].provision.email_domains")]
    [InlineData("identity_providers[0].provision.email_domains[0]", "\"ann@example.com\"", "invalid_value", "$.identity_providers[0].provision.email_domains[0]")]
    [InlineData("identity_providers[0].provision.groups", "{}", "invalid_value", "$.identity_providers[0].provision.groups")]
    [InlineData("identity_providers[0].provision.groups", "{\"Eng\":\"grp_nobody\"}", "unknown_reference", "$.identity_providers[0].provision.groups.Eng")]
    // Secrets, and what an authentication method needs.
    [InlineData("clients[1].secret", "\"0123456789012345678901234567890\"", "invalid_value", "$.clients[1].secret")]
    [InlineData("clients[1].secret", "\"01234567890123456789 0123456789012\"", "invalid_value", "$.clients[1].secret")]
    [InlineData("clients[1].secret", null, "missing_member", "$.clients[1].secret")]
    [InlineData("clients[1].secret_hash", Hash, "conflict", "$.clients[1].secret_hash")]
    [InlineData("clients[2].secret_hash", "\"3q2-7w\"", "invalid_value", "$.clients[2].secret_hash")]
    [InlineData("clients[2].secret_hash", "\"3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"", "invalid_value", "$.clients[2].secret_hash")]
    [InlineData("clients[0].jwks", null, "missing_member", "$.clients[0].jwks")]
    [InlineData("clients[0].secret", "\"another-secret-0123456789-abcdefghi\"", "conflict", "$.clients[0].secret")]
    [InlineData("clients[3].secret", "\"another-secret-0123456789-abcdefghi\"", "conflict", "$.clients[3].secret")]
    [InlineData("clients[3].jwks", "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\",\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}", "conflict", "$.clients[3].jwks")]
    [InlineData("clients[3].grant_types[0]", "\"client_credentials\"", "conflict", "$.clients[3].grant_types[0]")]
    [InlineData("clients[3].grant_types[1]", "\"urn:openid:params:grant-type:ciba\"", "conflict", "$.clients[3].grant_types[1]")]
    [InlineData("clients[1].grant_types[0]", "\"urn:openid:params:grant-type:ciba\"", "conflict", "$.clients[1].grant_types[0]")]
    [InlineData("clients[0].authority", "[]", "conflict", "$.clients[0].authority")]
    // What a certificate is of.
    [InlineData("clients[4].tls_client_auth_subject_dn", null, "missing_member", "$.clients[4].tls_client_auth_subject_dn")]
    [InlineData("clients[4].tls_client_auth_san_dns", "\"agent.example\"", "conflict", "$.clients[4].tls_client_auth_san_dns")]
    [InlineData("clients[4].tls_client_auth_subject_dn", "\"agent\"", "invalid_value", "$.clients[4].tls_client_auth_subject_dn")]
    [InlineData("clients[4].tls_client_auth_subject_dn", "\"CN=agent+O=Example\"", "invalid_value", "$.clients[4].tls_client_auth_subject_dn")]
    [InlineData("clients[4].tls_client_certificate_bound_access_tokens", "\"true\"", "wrong_type", "$.clients[4].tls_client_certificate_bound_access_tokens")]
    [InlineData("clients[4].certificates", "[" + Hash + "]", "conflict", "$.clients[4].certificates")]
    [InlineData("clients[4].secret", "\"another-secret-0123456789-abcdefghi\"", "conflict", "$.clients[4].secret")]
    [InlineData("clients[5].tls_client_auth_san_dns", "\"*.example\"", "invalid_value", "$.clients[5].tls_client_auth_san_dns")]
    [InlineData("clients[6].tls_client_auth_san_uri", "\"example.org/agent\"", "invalid_value", "$.clients[6].tls_client_auth_san_uri")]
    [InlineData("clients[7].tls_client_auth_san_ip", "\"10.1\"", "invalid_value", "$.clients[7].tls_client_auth_san_ip")]
    [InlineData("clients[7].tls_client_auth_san_ip", "\"10.1.0.0/16\"", "invalid_value", "$.clients[7].tls_client_auth_san_ip")]
    [InlineData("clients[8].tls_client_auth_san_email", "\"example.org\"", "invalid_value", "$.clients[8].tls_client_auth_san_email")]
    [InlineData("clients[9].certificates", null, "missing_member", "$.clients[9].certificates")]
    [InlineData("clients[9].certificates", "[]", "invalid_value", "$.clients[9].certificates")]
    [InlineData("clients[9].certificates", "[" + Hash + "," + Hash + "]", "duplicate", "$.clients[9].certificates[1]")]
    [InlineData("clients[9].certificates[0]", "\"AB:CD\"", "invalid_value", "$.clients[9].certificates[0]")]
    [InlineData("clients[9].tls_client_auth_san_dns", "\"agent.example\"", "conflict", "$.clients[9].tls_client_auth_san_dns")]
    [InlineData("clients[9].jwks", "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\",\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}", "conflict", "$.clients[9].jwks")]
    [InlineData("clients[3].tls_client_auth_san_dns", "\"agent.example\"", "conflict", "$.clients[3].tls_client_auth_san_dns")]
    [InlineData("clients[0].certificates", "[" + Hash + "]", "conflict", "$.clients[0].certificates")]
    [InlineData("clients[0].jwks.keys[0].x5c", "[]", "invalid_value", "$.clients[0].jwks.keys[0].x5c")]
    [InlineData("clients[0].jwks.keys[0].x5c", "[\"AAAA\"]", "invalid_key", "$.clients[0].jwks.keys[0].x5c")]
    [InlineData("clients[0].jwks.keys[0].x5c", "[\"AA AA\"]", "invalid_value", "$.clients[0].jwks.keys[0].x5c[0]")]
    [InlineData("clients[0].jwks.keys[0].x", "\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\"", "invalid_key", "$.clients[0].jwks.keys[0]")]
    [InlineData("clients[0].jwks.keys", "[]", "invalid_value", "$.clients[0].jwks.keys")]
    [InlineData("clients[0].jwks.keys[0].kty", "\"oct\"", "invalid_key", "$.clients[0].jwks.keys[0]")]
    [InlineData("clients[0].jwks.keys[0].x", "\"AAAA\"", "invalid_key", "$.clients[0].jwks.keys[0]")]
    [InlineData("tool_servers[1].enrolment_secrets", "[\"short\"]", "invalid_value", "$.tool_servers[1].enrolment_secrets[0]")]
    // Dangling references.
    [InlineData("users[1].groups", "[\"grp_nobody\"]", "unknown_reference", "$.users[1].groups[0]")]
    [InlineData("agents[1].owner", "\"usr_nobody\"", "unknown_reference", "$.agents[1].owner")]
    [InlineData("agents[1].hand_off_to", "[\"agt_refunds\",\"agt_nobody\"]", "unknown_reference", "$.agents[1].hand_off_to[1]")]
    [InlineData("agents[0].ceiling[0].locations[0]", "\"https://elsewhere.example/mcp\"", "unknown_reference", "$.agents[0].ceiling[0].locations[0]")]
    [InlineData("agents[0].ceiling[0].tools.shred", "{}", "unknown_reference", "$.agents[0].ceiling[0].tools.shred")]
    [InlineData("agents[0].ceiling[0].tools.a/b", "{}", "unknown_reference", "$.agents[0].ceiling[0].tools['a/b']")]
    [InlineData("clients[1].authority[0].tools.shred", "{}", "unknown_reference", "$.clients[1].authority[0].tools.shred")]
    [InlineData("clients[0].agent", "\"agt_nobody\"", "unknown_reference", "$.clients[0].agent")]
    [InlineData("tool_servers[1].owner", "\"usr_nobody\"", "unknown_reference", "$.tool_servers[1].owner")]
    [InlineData("edges[0].from.server", "\"srv_nowhere\"", "unknown_reference", "$.edges[0].from.server")]
    [InlineData("edges[0].from.tool", "\"post\"", "unknown_reference", "$.edges[0].from.tool")]
    [InlineData("edges[0].to.server", "\"srv_nowhere\"", "unknown_reference", "$.edges[0].to.server")]
    [InlineData("edges[0].to.tools[1]", "\"refund\"", "unknown_reference", "$.edges[0].to.tools[1]")]
    // Authority, by the grammar of tokens.
    [InlineData("agents[1].ceiling", "{}", "invalid_authorization_details", "$.agents[1].ceiling")]
    [InlineData("agents[0].ceiling[0].extra", "1", "invalid_authorization_details", "$.agents[0].ceiling[0].extra")]
    [InlineData("agents[0].ceiling[0].type", "\"payment\"", "invalid_authorization_details", "$.agents[0].ceiling[0].type")]
    [InlineData("agents[0].ceiling[0].task", "{\"id\":\"tsk_1\"}", "invalid_authorization_details", "$.agents[0].ceiling[0].task")]
    [InlineData("agents[0].ceiling[0].tools.refund.args.amount.constraint_type", "\"about\"", "invalid_authorization_details",
        "$.agents[0].ceiling[0].tools.refund.args.amount.constraint_type")]
    [InlineData("clients[1].authority[0].tools.read_order.max_calls", "-1", "invalid_authorization_details",
        "$.clients[1].authority[0].tools.read_order.max_calls")]
    [Trait("Spec", "RFC8707-2")]
    [Trait("Spec", "RFC6749-4.4")]
    [Trait("Spec", "RFC9068-5")]
    [Trait("Spec", "RFC3339-5.6")]
    public async Task Apply_OneFault_IsRefusedWithItsPathAndNothingIsApplied(string place, string? json, string code, string path)
    {
        var before = await Registry.Dump();
        var outcome = await Registry.File(ApplyFile.With(place, json));

        var fault = Assert.Single(outcome.Faults);
        Assert.Equal((code, path), (fault.Code, fault.Path));
        Assert.Equal(0, outcome.Changed);
        Assert.Equal(before, await Registry.Dump());
        var e = Assert.Single(await Registry.Events());
        Assert.Equal((AuditTypes.AdminApplied, "refused", code), (e.Type, e.Outcome, e.Reason));
    }

    // An entry without a readable id cannot be referred to, so what points to it is reported as well.
    [Theory]
    [InlineData("users[0].id", null, "missing_member", "$.users[0].id")]
    [InlineData("users[0].id", "\"ada\"", "invalid_value", "$.users[0].id")]
    [InlineData("users[0].id", "\"agt_ada\"", "invalid_value", "$.users[0].id")]
    [InlineData("users[0].id", "\"usr_\"", "invalid_value", "$.users[0].id")]
    [InlineData("users[0].id", "\"usr_a.b\"", "invalid_value", "$.users[0].id")]
    [InlineData("users[0].id", "\"usr_a\\n\"", "invalid_value", "$.users[0].id")]
    [InlineData("users[0].id", "\"usr_01234567890123456789012345678901234567890123456789012345678901234\"", "invalid_value", "$.users[0].id")]
    [InlineData("agents[0].id", "\"refunds\"", "invalid_value", "$.agents[0].id")]
    [InlineData("tool_servers[0].id", "\"files\"", "invalid_value", "$.tool_servers[0].id")]
    [InlineData("tool_servers[0].tools[0].name", "\"re fund\"", "invalid_value", "$.tool_servers[0].tools[0].name")]
    [InlineData("tool_servers[0].tools[0].name", null, "missing_member", "$.tool_servers[0].tools[0].name")]
    public async Task Apply_UnreadableIdentifier_IsReportedFirst(string place, string? json, string code, string path)
    {
        var before = await Registry.Dump();
        var outcome = await Registry.File(ApplyFile.With(place, json));

        Assert.Equal((code, path), (outcome.Faults[0].Code, outcome.Faults[0].Path));
        Assert.All(outcome.Faults.Skip(1), f => Assert.Equal("unknown_reference", f.Code));
        Assert.Equal(before, await Registry.Dump());
    }

    [Theory]
    [InlineData("", "invalid_json", "$")]
    [InlineData("{", "invalid_json", "$")]
    [InlineData("{} {}", "invalid_json", "$")]
    [InlineData("{\"users\":[],}", "invalid_json", "$")]
    [InlineData("{\"users\":[],\"users\":[]}", "duplicate_member", "$.users")]
    [InlineData("{\"users\":[],\"users\":[]", "duplicate_member", "$")]
    [InlineData("{\"users\":[],\"users\":[],\"\\ud800\":1}", "duplicate_member", "$")]
    [InlineData("{\"agents\":[{\"id\":\"agt_1\",\"ceiling\":[],\"Ceiling\":[]}]}", "duplicate_member", "$.agents[0].Ceiling")]
    [InlineData("{\"agents\":[{\"max_task_seconds\":9007199254740993}]}", "inexact_number", "$.agents[0].max_task_seconds")]
    [InlineData("[]", "wrong_type", "$")]
    [InlineData("null", "wrong_type", "$")]
    public async Task Apply_NotStrictJson_IsRefused(string text, string code, string path)
    {
        var outcome = await Registry.File(text);

        var fault = Assert.Single(outcome.Faults);
        Assert.Equal((code, path), (fault.Code, fault.Path));
        Assert.Equal("refused", Assert.Single(await Registry.Events()).Outcome);
    }

    [Fact]
    public async Task Apply_SeveralRepeatedMembers_AreAllReported()
    {
        var outcome = await Registry.File("""{"users":[{"id":"usr_1","Id":"usr_2"},{"name":"a","name":"b"}],"USERS":[]}""");

        Assert.Equal(["$.users[0].Id", "$.users[1].name", "$.USERS"], outcome.Faults.Select(f => f.Path));
    }

    [Fact]
    public async Task Apply_ManyFaults_AreReportedTogether()
    {
        var file = ApplyFile.Full()
            .With("users[0].colour", "1").With("agents[1].owner", "\"usr_nobody\"").With("agents[1].max_task_seconds", "0")
            .With("clients[1].secret", "\"short\"").With("tool_servers[1].resource", "\"ftp://x/\"").With("edges[0].to.tools[0]", "\"nothing\"")
            .With("agents[0].ceiling[0].tools.shred", "{}").With("groups[0].name", "[]");

        var outcome = await Registry.File(file);

        Assert.Equal(
            ["$.agents[0].ceiling[0].tools.shred", "$.agents[1].max_task_seconds", "$.agents[1].owner", "$.clients[1].secret", "$.edges[0].to.tools[0]",
                "$.groups[0].name", "$.tool_servers[1].resource", "$.users[0].colour"],
            outcome.Faults.Select(f => f.Path!).Order(StringComparer.Ordinal));
        Assert.Equal(8, (int)Assert.Single(await Registry.Events()).Data!["faults"]!);
    }

    [Fact]
    public async Task Apply_ResourceOfARegisteredServerChanged_IsRefused()
    {
        await Registry.Applied(ApplyFile.Full());
        var before = await Registry.Dump();

        var outcome = await Registry.File(ServerOnly("srv_files", "https://files.example/v2"));

        Assert.Equal(("conflict", "$.tool_servers[0].resource"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
        Assert.Equal(before, await Registry.Dump());
    }

    [Fact]
    [Trait("Spec", "RFC9068-5")]
    public async Task Apply_ResourceOfAnotherRegisteredServer_IsRefused()
    {
        await Registry.Applied(ApplyFile.Full());

        var outcome = await Registry.File(ServerOnly("srv_impostor", "https://files.example/mcp"));

        Assert.Equal(("conflict", "$.tool_servers[0].resource"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
        Assert.DoesNotContain("srv_impostor", await Registry.Dump(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Names.Paths.Token)]
    [InlineData(Names.Paths.GuardAudience)]
    [InlineData(Names.Paths.UserInfo)]
    [Trait("Invariant", "1")]
    [Trait("Spec", "RFC9068-5")]
    public async Task Apply_ResourceThatIsAnAudienceOfTheServerItself_IsRefused(string path)
    {
        await Registry.Applied(ApplyFile.Full());

        var outcome = await Registry.File(ServerOnly("srv_impostor", RegistryHarness.Issuer.Value + path));

        Assert.Equal(("conflict", "$.tool_servers[0].resource"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
        Assert.DoesNotContain("srv_impostor", await Registry.Dump(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Apply_EnrolmentSecretOfAnotherRegisteredServer_IsRefused()
    {
        await Registry.Applied(ApplyFile.Full());
        var file = ServerOnly("srv_third", "https://third.example/mcp").With("tool_servers[0].enrolment_secrets", $"[\"{ApplyFile.EnrolmentSecret}\"]");

        var outcome = await Registry.File(file);

        Assert.Equal(("conflict", "$.tool_servers[0].enrolment_secrets[0]"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
    }

    [Fact]
    public async Task Apply_ReferencesToWhatIsRegistered_AreKnown()
    {
        await Registry.Applied(ApplyFile.Full());
        var file = JsonNode.Parse("""
            {"agents":[{"id":"agt_new","name":"New","owner":"usr_bob","purpose":"p","hand_off_to":["agt_refunds"],
              "ceiling":[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"tools":{"refund":{}}}]}],
             "clients":[{"id":"new","name":"New","agent":"agt_reader","auth_method":"none","grant_types":[]}],
             "users":[{"id":"usr_eve","name":"Eve","groups":["grp_all"]}],
             "edges":[{"from":{"server":"srv_ledger","tool":"post"},"to":{"server":"srv_files","tools":["read_order"]}}]}
            """)!;

        Assert.Equal(4, await Registry.Applied(file));
    }

    private static JsonObject ServerOnly(string id, string resource) => new()
    {
        ["tool_servers"] = new JsonArray(new JsonObject { ["id"] = id, ["resource"] = resource, ["name"] = "Server", ["owner"] = "usr_ada" }),
        ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_ada", ["name"] = "Ada", ["email"] = "ada@example.com", ["groups"] = new JsonArray("grp_support") }),
    };
}
