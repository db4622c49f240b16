using System.Globalization;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuthServer.Attestation;
using McpAuthServer.Clients;
using McpAuthServer.People;
using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Registry.Apply;

/// <summary>Reads an apply file strictly and reports every fault of it, each with its JSON path.</summary>
internal sealed partial class ApplyParser
{
    private readonly List<Fault> faults = [];
    private readonly HashSet<string> ids = new(StringComparer.Ordinal), resources = new(StringComparer.Ordinal), names = new(StringComparer.Ordinal), secrets = new(StringComparer.Ordinal),
        issuers = new(StringComparer.Ordinal), providers = new(StringComparer.Ordinal), classes = new(StringComparer.Ordinal);

    private ApplyParser() { }

    /// <summary>
    /// What could be read, and the faults; with any fault nothing of it may be applied. Codes: those of <see cref="StrictJson"/>,
    /// <c>unknown_member</c>, <c>missing_member</c>, <c>wrong_type</c>, <c>invalid_value</c>, <c>duplicate</c>, <c>conflict</c>,
    /// <c>invalid_key</c>, <c>invalid_authorization_details</c>.
    /// </summary>
    public static (ApplyDocument Document, IReadOnlyList<Fault> Faults) Parse(ReadOnlyMemory<byte> file)
    {
        // Two members of one name, also but for case, are refused here: nobody should wonder which of two ceilings holds.
        if (!StrictJson.Parse(file, new JsonLimits(ApplyGrammar.FileBytes)).TryGet(out var json, out var fault))
            return (ApplyDocument.Empty, StrictJsonFaults.Locate(file, fault));
        var parser = new ApplyParser();
        var document = ObjectReader.Open(json, "$", ApplyGrammar.Root, parser.faults) is { } root ? parser.Document(root) : ApplyDocument.Empty;
        return (document, parser.faults);
    }

    private ApplyDocument Document(ObjectReader root)
    {
        root.Text("$schema", _ => true, "a string", required: false);
        return new ApplyDocument(
            Entries(root, "users", ApplyGrammar.UserMembers, User),
            Entries(root, "groups", ApplyGrammar.GroupMembers, Group),
            Entries(root, "agents", ApplyGrammar.AgentMembers, Agent),
            Entries(root, "clients", ApplyGrammar.ClientMembers, Client),
            Entries(root, "tool_servers", ApplyGrammar.ToolServerMembers, ToolServer),
            Edges(root),
            Entries(root, "workload_issuers", ApplyGrammar.IssuerMembers, WorkloadIssuer),
            Entries(root, "tool_classes", ApplyGrammar.ToolClassMembers, ToolClass),
            Entries(root, "identity_providers", ApplyGrammar.ProviderMembers, IdentityProvider));
    }

    private List<T> Entries<T>(ObjectReader parent, string member, string[] members, Func<ObjectReader, T?> read) where T : class =>
        parent.Items(member).Select(item => ObjectReader.Open(item.Value, item.Path, members, faults) is { } entry ? read(entry) : null)
            .OfType<T>().ToList();

    private AppliedUser? User(ObjectReader entry)
    {
        var id = NewId(entry, Id.User);
        var name = entry.Line("name", ApplyGrammar.NameLength);
        var email = entry.Reference("email", ApplyGrammar.IsEmail, "an e-mail address", required: false);
        if (email is { } address && !names.Add(Account.Normalize(address.Value)))
            entry.Refuse("duplicate", "Two users have this e-mail address, which is how they sign in.", "email");
        var user = new AppliedUser(
            id ?? "", name ?? "", email, entry.Texts("groups", IsId(ApplyGrammar.Group), IdOf(ApplyGrammar.Group)), entry.Flag("enabled"), entry.Flag("administrator"),
            entry.Text("password", Passwords.IsAdmissible, Passwords.Rule, required: false),
            entry.Text("password_hash", Passwords.IsHash, $"what --hash-password prints, of {Passwords.LeastIterations} to {Passwords.MostIterations} iterations", required: false));
        if (!entry.Has("email") && (entry.Has("password") || entry.Has("password_hash")))
            entry.Refuse("missing_member", "A password needs the address to sign in with.", "email");
        if (entry.Has("password") && entry.Has("password_hash"))
            entry.Refuse("conflict", "One of password and password_hash is enough.", "password_hash");
        return id is null ? null : user;
    }

    private AppliedGroup? Group(ObjectReader entry)
    {
        var id = NewId(entry, ApplyGrammar.Group);
        var name = entry.Line("name", ApplyGrammar.NameLength);
        return id is null ? null : new AppliedGroup(id, name ?? "");
    }

    private AppliedAgent? Agent(ObjectReader entry)
    {
        var id = NewId(entry, Id.Agent);
        var agent = new AppliedAgent(
            id ?? "",
            entry.Line("name", ApplyGrammar.NameLength) ?? "",
            Owner(entry),
            entry.Line("purpose", ApplyGrammar.PurposeLength) ?? "",
            entry.Text("tool_class", ApplyGrammar.IsClass, "1 to 64 of A-Z a-z 0-9 _ . -", required: false),
            entry.OneOf("state", ApplyGrammar.States, required: false),
            Authority(entry, "ceiling", required: true),
            entry.Texts("hand_off_to", IsId(Id.Agent), IdOf(Id.Agent)),
            entry.Flag("require_dpop") ?? false,
            entry.Flag("client_credentials") ?? false,
            entry.Integer("max_task_seconds", 1, (long)Limits.TaskMaximum.TotalSeconds) ?? (long)Limits.TaskMaximum.TotalSeconds,
            Instant(entry, "review_at"),
            Entries(entry, "trust", ApplyGrammar.TrustMembers, Binding));
        return id is null ? null : agent;
    }

    private AppliedToolClass? ToolClass(ObjectReader entry) =>
        New(classes, entry, "name", entry.Text("name", ApplyGrammar.IsClass, "1 to 64 of A-Z a-z 0-9 _ . -")) is { } name
            ? new AppliedToolClass(name, entry.Flag("exclusive") ?? false)
            : null;

    private AppliedBinding? Binding(ObjectReader entry)
    {
        var issuer = entry.Reference("issuer", IsId(Id.WorkloadIssuer), IdOf(Id.WorkloadIssuer));
        var client = entry.Reference("client", ApplyGrammar.IsClientId, "a client's id");
        var selectors = new Dictionary<string, string>(StringComparer.Ordinal);
        var names = new List<At<string>>();
        if (entry.Get("select", required: true) is { ValueKind: JsonValueKind.Object } select
            && ObjectReader.Open(select, entry.At("select"), [.. select.EnumerateObject().Select(m => m.Name)], faults) is { } said)
            foreach (var name in select.EnumerateObject().Select(m => m.Name))
                if (!ApplyGrammar.IsSelector(name))
                    said.Refuse("invalid_value", "No selector has such a name.", name);
                else if (said.Line(name, ApplyGrammar.SelectorLength) is { } value)
                {
                    selectors[name] = value;
                    names.Add(new(name, said.At(name)));
                }
        if (entry.Has("select") && names.Count == 0)
            entry.Refuse("invalid_value", "It must say at least one thing of the evidence.", "select");
        return issuer is { } by && client is { } software ? new AppliedBinding(by, names, StoredText.FromMap(selectors), software, entry.Path) : null;
    }

    private AppliedIssuer? WorkloadIssuer(ObjectReader entry)
    {
        var id = NewId(entry, Id.WorkloadIssuer);
        var kind = entry.OneOf("kind", [.. WorkloadKinds.All.Keys.Order(StringComparer.Ordinal)]);
        var isDomain = kind is not null && WorkloadKinds.All[kind].Told == Told.ByTrustDomain;
        var issuer = New(issuers, entry, "issuer", entry.Text("issuer", text => isDomain ? SpiffeId.IsTrustDomain(text) : ApplyGrammar.IsIssuer(text),
            isDomain ? "the id of a trust domain, spiffe://example.org" : "an https address without query and fragment"));
        var (jwks, address) = Published(entry);
        if (kind is not null && WorkloadKinds.All[kind].Told != Told.ByIssuer && !entry.Has("jwks") && !entry.Has("jwks_uri"))
            entry.Refuse("missing_member", "It has no metadata: say what its keys are, or where.", "jwks_uri");
        var applied = new AppliedIssuer(
            id ?? "", entry.Line("name", ApplyGrammar.NameLength) ?? "", kind ?? "", new(issuer ?? "", entry.At("issuer")),
            entry.Line("audience", ApplyGrammar.ResourceLength, required: false), jwks, address,
            entry.Integer("max_seconds", 60, (long)Limits.LongestEvidence.TotalSeconds) ?? (long)Limits.Evidence.TotalSeconds, entry.OneOf("state", ApplyGrammar.States, required: false));
        return id is null ? null : applied;
    }

    /// <summary>An issuer's keys, or where they are; neither where its own metadata says it.</summary>
    private (string? Jwks, string? Address) Published(ObjectReader entry)
    {
        var jwks = entry.Get("jwks", required: false) is { } set ? Jwks(set, entry.At("jwks")) : null;
        var address = entry.Text("jwks_uri", ApplyGrammar.IsIssuer, "an https address without query and fragment", required: false);
        if (entry.Has("jwks") && entry.Has("jwks_uri"))
            entry.Refuse("conflict", "One of jwks and jwks_uri is enough.", "jwks_uri");
        return (jwks, address);
    }

    private AppliedClient? Client(ObjectReader entry)
    {
        var id = New(ids, entry, "id", entry.Text("id", ApplyGrammar.IsClientId,
            "1 to 200 of A-Z a-z 0-9 . _ ~ : / -, and not the identifier of something else"));
        var agent = entry.Reference("agent", IsId(Id.Agent), IdOf(Id.Agent), required: false);
        var method = entry.OneOf("auth_method", ApplyGrammar.AuthMethods);
        var secret = Secret(entry);
        var jwks = entry.Get("jwks", required: false) is { } set ? Jwks(set, entry.At("jwks")) : null;
        if (method is not null)
            ApplyCredentials.Check(entry, method);
        var grantTypes = entry.Texts("grant_types", t => ApplyGrammar.GrantTypes.Contains(t, StringComparer.Ordinal),
            $"one of {string.Join(", ", ApplyGrammar.GrantTypes)}", required: true);
        // RFC 6749 §4.4: the client credentials grant MUST only be used by confidential clients.
        if (method == Names.ClientAssertion.None && grantTypes.Find(t => t.Value == Names.OAuth.ClientCredentials) is { Path: not null } publicGrant)
            faults.Add(new Fault("conflict", "A client without authentication cannot use client_credentials.", publicGrant.Path));
        if (entry.Has("agent") && grantTypes.Find(t => t.Value == Names.Device.GrantType) is { Path: not null } device)
            faults.Add(new Fault("conflict", "Nothing is handed to an agent through a device.", device.Path));
        if (grantTypes.Find(t => t.Value == Names.Ciba.GrantType) is { Path: not null } ciba && (method == Names.ClientAssertion.None || !entry.Has("agent")))
            faults.Add(new Fault("conflict", "Only a client that authenticates an agent can ask people where they are.", ciba.Path));
        // RFC 7662 §2.1: who asks about tokens authenticates.
        if (method == Names.ClientAssertion.None && entry.Has("introspects"))
            entry.Refuse("conflict", "A client without authentication cannot ask about tokens.", "introspects");
        // An agent's authority is its ceiling; a second one beside it could only be ignored.
        if (entry.Has("agent") && entry.Has("authority"))
            entry.Refuse("conflict", "A client that authenticates an agent has no authority of its own.", "authority");
        if (method == Names.ClientAssertion.InstanceKey && !entry.Has("agent"))
            entry.Refuse("missing_member", "Only an agent has instances.", "agent");
        var administers = entry.Flag("administers") ?? false;
        if (administers)
            Administering(entry, method);
        var isPublic = method is null or Names.ClientAssertion.None;
        var redirects = Redirects(entry, "redirect_uris", isPublic);
        if (grantTypes.Find(t => t.Value == Names.OAuth.AuthorizationCode) is { Path: not null } && redirects.Count == 0)
            entry.Refuse("missing_member", "authorization_code needs an address to send the answer to.", "redirect_uris");
        var client = new AppliedClient(
            id ?? "", entry.Line("name", ApplyGrammar.NameLength) ?? "", agent, method ?? "", secret, jwks, [.. grantTypes.Select(t => t.Value)],
            entry.Flag("legacy_audience") ?? false, Authority(entry, "authority", required: false), redirects, Redirects(entry, "post_logout_redirect_uris", isPublic),
            entry.Texts("tool_servers", IsId(Id.ToolServer), IdOf(Id.ToolServer)), entry.Reference("introspects", IsId(Id.ToolServer), IdOf(Id.ToolServer), required: false),
            entry.OneOf("state", ApplyGrammar.States, required: false),
            ApplyCredentials.Subject(entry), ApplyCredentials.Certificates(entry), entry.Flag(Names.Mtls.BoundAccessTokens) ?? false, administers);
        return id is null ? null : client;
    }

    /// <summary>Who administers does nothing else: its tokens are for this server alone.</summary>
    private static void Administering(ObjectReader entry, string? method)
    {
        if (method is not null && !ApplyGrammar.AdministeringMethods.Contains(method, StringComparer.Ordinal))
            entry.Refuse("conflict", $"A client that administers authenticates by one of {string.Join(", ", ApplyGrammar.AdministeringMethods)}.", "administers");
        foreach (var other in (string[])["agent", "authority"])
            if (entry.Has(other))
                entry.Refuse("conflict", "A client that administers has no other authority.", other);
    }

    private List<string> Redirects(ObjectReader entry, string member, bool isPublic)
    {
        var uris = new List<string>();
        // Each by itself: one bad address among three names itself.
        foreach (var uri in entry.Texts(member, _ => true, "an address"))
            if (RedirectUri.Refuses(uri.Value, isPublic) is { } why)
                faults.Add(new Fault("invalid_redirect_uri", why, uri.Path));
            else
                uris.Add(uri.Value);
        return uris;
    }

    private string? Secret(ObjectReader entry)
    {
        var plain = entry.Text("secret", ApplyGrammar.IsSecret, "32 to 512 visible ASCII characters", required: false);
        var hash = entry.Text("secret_hash", ApplyGrammar.IsHash, "the base64url SHA-256 of the secret", required: false);
        return plain is not null ? New(secrets, entry, "secret", Base64Url.Sha256(plain)) : New(secrets, entry, "secret_hash", hash);
    }

    private string? Jwks(JsonElement json, string path)
    {
        if (ObjectReader.Open(json, path, ApplyGrammar.JwksMembers, faults) is not { } set)
            return null;
        var keys = new List<VerificationKey>();
        var kids = new HashSet<string>(StringComparer.Ordinal);
        var any = false;
        foreach (var item in set.Items("keys", required: true))
        {
            any = true;
            // A private member is an unknown one here, so no private key can ever be stored by mistake.
            var before = faults.Count;
            if (ObjectReader.Open(item.Value, item.Path, ApplyGrammar.JwkMembers, faults) is not { } key || faults.Count > before)
                continue;
            key.Flag("ext");
            if (!VerificationKey.FromJwk(item.Value).TryGet(out var verification, out var fault))
                faults.Add(fault with { Path = item.Path });
            else if (verification.KeyId is { } kid && !kids.Add(kid))
                key.Refuse("duplicate", "Two keys have this kid.", "kid");
            else
                keys.Add(verification);
            if (verification is not null)
                ApplyCredentials.CheckCertificates(key, verification);
        }
        if (!any && set.IsEmptyArray("keys"))
            set.Refuse("invalid_value", "There must be a key.", "keys");
        return $"{{\"keys\":[{string.Join(',', keys.Select(k => k.Jwk.GetRawText()))}]}}";
    }

    private AppliedToolServer? ToolServer(ObjectReader entry)
    {
        var id = NewId(entry, Id.ToolServer);
        var resource = New(resources, entry, "resource",
            entry.Text("resource", ApplyGrammar.IsResource, "an https URI (http on loopback) without user information and fragment"));
        var name = entry.Line("name", ApplyGrammar.NameLength);
        var owner = Owner(entry);
        var state = entry.OneOf("state", ApplyGrammar.States, required: false);
        var plain = entry.Texts("enrolment_secrets", ApplyGrammar.IsSecret, "32 to 512 visible ASCII characters")
            .Select(s => new At<string>(Base64Url.Sha256(s.Value), s.Path));
        var hashed = entry.Texts("enrolment_secret_hashes", ApplyGrammar.IsHash, "the base64url SHA-256 of a secret");
        var enrolment = plain.Concat(hashed).ToList();
        foreach (var secret in enrolment.Where(s => !secrets.Add(s.Value)))
            faults.Add(new Fault("duplicate", "The file gives this secret twice.", secret.Path));
        var development = entry.Flag("development") ?? false;
        // A program that others can reach must not approve itself.
        if (development && resource is not null && !ApplyGrammar.IsLoopback(resource))
            entry.Refuse("conflict", "Developer mode is for a tool server on this machine: its resource must be at 127.0.0.0/8, [::1] or localhost.", "development");
        var names = new HashSet<string>(StringComparer.Ordinal);
        var tools = Entries(entry, "tools", ApplyGrammar.ToolMembers, tool => Tool(tool, names));
        return id is null ? null : new AppliedToolServer(id, new(resource ?? "", entry.At("resource")), name ?? "", owner, state, enrolment, development, tools);
    }

    private static AppliedTool? Tool(ObjectReader entry, HashSet<string> names)
    {
        var name = New(names, entry, "name", entry.Text("name", ApplyGrammar.IsToolName, "1 to 128 of A-Z a-z 0-9 _ . / -"));
        var tool = new AppliedTool(
            name ?? "",
            entry.OneOf("sensitivity", ApplyGrammar.Sensitivities) ?? "",
            entry.Text("class", ApplyGrammar.IsClass, "1 to 64 of A-Z a-z 0-9 _ . -", required: false),
            entry.OneOf("approval", ApplyGrammar.Approvals, required: false) ?? ApplyGrammar.Approvals[0],
            entry.OneOf("state", ApplyGrammar.ToolStates, required: false),
            entry.Text("digest", ApplyGrammar.IsDigest, "sha-256: and the base64url SHA-256 of the definition", required: false),
            entry.OneOf("on_change", ApplyGrammar.OnChanges, required: false) ?? ApplyGrammar.OnChanges[0]);
        if (ApplyTools.Wrong(tool) is { } wrong)
            entry.Refuse("conflict", wrong, "on_change");
        return name is null ? null : tool;
    }

    private List<AppliedEdge> Edges(ObjectReader root)
    {
        var edges = new HashSet<(string, string, string)>();
        return Entries(root, "edges", ApplyGrammar.EdgeMembers, entry =>
        {
            var from = entry.Get("from", required: true) is { } f ? ObjectReader.Open(f, entry.At("from"), ApplyGrammar.EdgeFromMembers, faults) : null;
            var to = entry.Get("to", required: true) is { } t ? ObjectReader.Open(t, entry.At("to"), ApplyGrammar.EdgeToMembers, faults) : null;
            var fromServer = from?.Reference("server", IsId(Id.ToolServer), IdOf(Id.ToolServer));
            var fromTool = from?.Reference("tool", ApplyGrammar.IsToolName, "a tool's name");
            var toServer = to?.Reference("server", IsId(Id.ToolServer), IdOf(Id.ToolServer));
            var toTools = to?.Texts("tools", ApplyGrammar.IsToolName, "a tool's name", required: true);
            if (fromServer is not { } server || fromTool is not { } tool || toServer is not { } target || toTools is null)
                return null;
            if (edges.Add((server.Value, tool.Value, target.Value)))
                return new AppliedEdge(server, tool, target, toTools);
            entry.Refuse("duplicate", "The file has this edge twice.");
            return null;
        });
    }

    private static At<string> Owner(ObjectReader entry) => entry.Reference("owner", IsId(Id.User), IdOf(Id.User)) ?? new("", entry.At("owner"));

    private AppliedAuthority Authority(ObjectReader entry, string member, bool required)
    {
        var path = entry.At(member);
        if (entry.Get(member, required) is not { } json)
            return AppliedAuthority.None;
        if (!GrantedAuthority.Parse(json).TryGet(out var authority, out var fault))
        {
            faults.Add(fault with { Path = path + (fault.Path is ['$', .. var rest] ? rest : "") });
            return AppliedAuthority.None;
        }
        // The grammar was checked: every element is an object with one location.
        var locations = new List<At<string>>();
        var tools = new List<(string, At<string>)>();
        foreach (var (item, i) in json.EnumerateArray().Select((item, i) => (item, i)))
        {
            var at = ObjectReader.Child(path, i);
            var location = item.GetProperty("locations")[0].GetString()!;
            locations.Add(new(location, ObjectReader.Child(ObjectReader.Child(at, "locations"), 0)));
            if (item.TryGetProperty("tools", out var named))
                tools.AddRange(named.EnumerateObject().Select(t => (location, new At<string>(t.Name, ObjectReader.Child(ObjectReader.Child(at, "tools"), t.Name)))));
        }
        return new AppliedAuthority(authority, locations, tools);
    }

    private static long? Instant(ObjectReader entry, string member)
    {
        // RFC 3339 §5.6, with the offset: a time without one would mean another moment on another machine.
        string[] formats = ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];
        DateTimeOffset instant = default;
        var text = entry.Text(member, t => (t.EndsWith('Z') || (t.Length > 6 && t[^6] is '+' or '-')) &&
            DateTimeOffset.TryParseExact(t, formats, CultureInfo.InvariantCulture, DateTimeStyles.None, out instant),
            "an RFC 3339 time with its offset, e.g. 2027-01-01T00:00:00Z", required: false);
        return text is null ? null : instant.ToUnixTimeMilliseconds();
    }

    private string? NewId(ObjectReader entry, string prefix) => New(ids, entry, "id", entry.Text("id", IsId(prefix), IdOf(prefix)));

    private static string? New(HashSet<string> seen, ObjectReader entry, string member, string? value)
    {
        if (value is not null && !seen.Add(value))
            entry.Refuse("duplicate", "The file has it twice.", member);
        return value;
    }

    private static Func<string, bool> IsId(string prefix) => text => ApplyGrammar.IsId(text, prefix);

    private static string IdOf(string prefix) => $"{prefix} and 1 to 64 of A-Z a-z 0-9 _ -";
}
