using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Mtls;

/// <summary>A server that takes client certificates: of connections, and from one proxy as RFC 9440 has it. It trusts a root, its intermediate, and a root of old.</summary>
public sealed class MtlsServer : IAsyncLifetime
{
    public const string Proxy = "10.0.0.1", Endpoint = "https://mtls.auth.test";

    private readonly TempDirectory directory = new();

    public TestServer Server { get; } = new();
    public X509Certificate2 Root { get; }
    public X509Certificate2 Intermediate { get; }

    /// <summary>Trusted, but its time is over.</summary>
    public X509Certificate2 Expired { get; }

    public MtlsServer()
    {
        Root = TestCertificates.Root(Now);
        Intermediate = Root.Issue(Now, new() { Subject = "CN=Test intermediate", Authority = true, Usages = [], To = TimeSpan.FromDays(1000) });
        Expired = TestCertificates.Root(Now.AddYears(-20), "CN=Old root");
    }

    public DateTimeOffset Now => Server.Time.GetUtcNow();

    public Task InitializeAsync()
    {
        Server.Settings["McpAuth:Mtls:Enabled"] = "true";
        Server.Settings["McpAuth:Mtls:Header"] = "Client-Cert";
        Server.Settings["McpAuth:Mtls:Endpoint"] = Endpoint;
        Server.Settings["McpAuth:Mtls:TrustedAuthorities"] = directory.Write("authorities.pem", Root.ExportCertificatePem() + "\n" + Intermediate.ExportCertificatePem() + "\n" + Expired.ExportCertificatePem());
        Server.Settings["McpAuth:Proxies:0"] = Proxy;
        return Server.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        directory.Dispose();
    }

    /// <summary>A scenario, and beside its clients one by certificate: <paramref name="members"/> say by which.</summary>
    internal async Task<(Scenario Scenario, string Client)> WithClientAsync(string method, JsonObject members)
    {
        var s = await Server.ScenarioAsync();
        return (s, await ClientAsync(s, method, members));
    }

    /// <summary>A client for its own authority at the scenario's tool server.</summary>
    internal async Task<string> ClientAsync(Scenario s, string method, JsonObject members)
    {
        var id = $"{method.Replace('_', '-')}-{s.Suffix}";
        var client = new JsonObject
        {
            ["id"] = id, ["name"] = id, ["auth_method"] = method, ["grant_types"] = new JsonArray(Names.OAuth.ClientCredentials), ["authority"] = s.Details(["read_file"]),
        };
        foreach (var (name, value) in members)
            client[name] = value?.DeepClone();
        await Server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(client) }.ToJsonString());
        return id;
    }

    /// <summary>Asks for a token of its own authority, over a connection with this certificate.</summary>
    internal Task<HttpResponseMessage> TokenAsync(Scenario s, string client, X509Certificate2? certificate, Dictionary<string, string>? more = null, string path = Names.Paths.Token) =>
        SendAsync(Server.ClientFrom("198.51.100.7", certificate), Form(s, client, more), path);

    internal static Dictionary<string, string> Form(Scenario s, string? client, Dictionary<string, string>? more = null)
    {
        var form = new Dictionary<string, string>(more ?? []) { ["grant_type"] = Names.OAuth.ClientCredentials, ["resource"] = s.Resource, ["token"] = "rt_unknown" };
        if (client is not null)
            form["client_id"] = client;
        return form;
    }

    internal static async Task<HttpResponseMessage> SendAsync(
        HttpClient http, Dictionary<string, string> form, string path = Names.Paths.Token, Action<HttpRequestHeaders>? headers = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(form) };
        headers?.Invoke(request.Headers);
        return await http.SendAsync(request);
    }

    internal static AuthenticationHeaderValue Basic(Scenario s) => new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
}
