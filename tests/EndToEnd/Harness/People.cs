using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using Microsoft.Playwright;

namespace McpAuth.EndToEnd.Harness;

/// <summary>An installation that people use with browsers and programs of others: Ann has a password, and some programs are registered for her.</summary>
public sealed class People : IAsyncLifetime
{
    public const string Name = "people", Ann = "usr_ann", Email = "ann@example.com", Password = "correct horse battery staple";

    /// <summary>Public clients, by scope.</summary>
    public const string CSharpClient = "stock-csharp", TypeScriptClient = "stock-typescript", PageClient = "report-reader";

    /// <summary>A public client with every grant such a client can have, and one that acts for itself with <see cref="ServiceSecret"/>.</summary>
    public const string LibraryClient = "library-program", ServiceClient = "library-service", ServiceSecret = "library-service-secret-0123456789abcdef";

    /// <summary>What the tool server asks about tokens as.</summary>
    public const string IntrospectingClient = "library-tool-server", IntrospectingSecret = "library-tool-server-secret-0123456789abcdef";

    /// <summary>Short, so that a test sees a refresh.</summary>
    public static readonly TimeSpan AccessTokenLifetime = TimeSpan.FromSeconds(4);

    private readonly Browser browser = new();

    public Deployment Deployment { get; private set; } = null!;

    public GuardedServer Files => Deployment.Servers[0];

    /// <summary>Where programs that nobody registered say what they are.</summary>
    public DocumentSite Documents { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        // Without a browser every test of the collection is skipped; where nothing may be, the first visit says what is missing.
        if (Chromium.Requirement.Skip is not null) return;
        await browser.InitializeAsync();
        Documents = await DocumentSite.StartAsync();
        Deployment = await Deployment.StartAsync(
            postgres: null, nodes: 1, ["files"], Register, new Dictionary<string, string?>
            {
                ["McpAuth__AccessTokenLifetime"] = AccessTokenLifetime.ToString("c"), ["McpAuth__RequireDpopNonce"] = "true", ["McpAuth__DynamicRegistration__Enabled"] = "true",
                ["McpAuth__ClientDocuments__Loopback__0"] = Documents.Authority, ["SSL_CERT_FILE"] = Documents.CertificateFile,
            });
        await using Visitor ann = await browser.NewVisitorAsync();
        await ann.GoAsync(await Deployment.SetupLinkAsync(Ann));
        await ann.Page.GetByLabel("Password").FillAsync(Password);
        await ann.PressAsync("Set password");
        await ann.Page.WaitForURLAsync(url => !url.Contains(Names.Paths.Setup, StringComparison.Ordinal));
        Assert.True(ann.Complaints.Count == 0, string.Join('\n', ann.Complaints));
    }

    public async Task DisposeAsync()
    {
        await browser.DisposeAsync();
        if (Deployment is not null) await Deployment.DisposeAsync();
        if (Documents is not null) await Documents.DisposeAsync();
    }

    /// <summary>A browser nobody has signed in with.</summary>
    public Task<Visitor> NewVisitorAsync(bool javaScript = true) => browser.NewVisitorAsync(javaScript);

    /// <summary>What Ann does when a program sends her to <paramref name="address"/>: she signs in if she must, and allows what it asks for.</summary>
    public static async Task AllowAsync(Visitor ann, string address)
    {
        Assert.Equal(200, await ann.GoAsync(address));
        if (await ann.IsAskedToSignInAsync()) await ann.SignInAsync(Email, Password);
        await ann.PressAsync("Allow");
    }

    /// <summary>What Ann does when a device shows her a code and where to type it.</summary>
    public static async Task AllowDeviceAsync(Visitor ann, string address)
    {
        Assert.Equal(200, await ann.GoAsync(address));
        await ann.AssertPageIsCleanAsync("device");
        await ann.PressAsync("Continue");
        if (await ann.IsAskedToSignInAsync()) await ann.SignInAsync(Email, Password);
        await ann.PressAsync("Allow");
        await ann.Page.GetByRole(AriaRole.Heading, new() { Name = "Go back to your device" }).WaitForAsync();
    }

    private void Register(JsonObject registry)
    {
        JsonArray clients = registry["clients"]!.AsArray();
        foreach (var (id, name) in new[] { (CSharpClient, "Stock client in C#"), (TypeScriptClient, "Stock client in TypeScript"), (PageClient, "Report reader") })
        {
            clients.Add(new JsonObject
            {
                ["id"] = id, ["name"] = name, ["auth_method"] = Names.ClientAssertion.None, ["redirect_uris"] = new JsonArray("http://127.0.0.1/callback"),
                ["grant_types"] = new JsonArray(Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken),
            });
        }
        clients.Add(new JsonObject
        {
            ["id"] = LibraryClient, ["name"] = "Program on a library", ["auth_method"] = Names.ClientAssertion.None, ["redirect_uris"] = new JsonArray("http://127.0.0.1/callback"),
            ["grant_types"] = new JsonArray(Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken, Names.Device.GrantType),
        });
        clients.Add(new JsonObject
        {
            ["id"] = ServiceClient, ["name"] = "Service on a library", ["auth_method"] = Names.ClientAssertion.SecretBasic, ["secret"] = ServiceSecret,
            ["grant_types"] = new JsonArray(Names.OAuth.ClientCredentials), ["authority"] = new JsonArray(new JsonObject
            {
                ["type"] = Names.Resources.McpToolCall, ["locations"] = new JsonArray((string)registry["tool_servers"]![0]!["resource"]!), ["actions"] = new JsonArray("tools/call"),
                ["tools"] = new JsonObject { ["read_file"] = new JsonObject() },
            }),
        });
        clients.Add(new JsonObject
        {
            ["id"] = IntrospectingClient, ["name"] = "Tool server on a library", ["auth_method"] = Names.ClientAssertion.SecretBasic, ["secret"] = IntrospectingSecret,
            ["grant_types"] = new JsonArray(), ["introspects"] = "srv_files",
        });
        // The first agent may ask people for a task.
        JsonNode agent = clients[0]!;
        agent["grant_types"]!.AsArray().Add(Names.OAuth.AuthorizationCode);
        agent["grant_types"]!.AsArray().Add(Names.Ciba.GrantType);
        agent["grant_types"]!.AsArray().Add(Names.OAuth.RefreshToken);
        agent["redirect_uris"] = new JsonArray("http://127.0.0.1/callback");
    }
}

[CollectionDefinition(People.Name)]
public sealed class PeopleDefinition : ICollectionFixture<People>;
