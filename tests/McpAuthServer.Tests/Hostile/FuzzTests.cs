using System.Net;
using System.Net.Http.Headers;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Authorizations;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Hostile;

/// <summary>What nobody would send, at every endpoint that takes a form or a query: an answer below 500, and the next honest request served.</summary>
public class FuzzTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly Gen<(int, int, int)[]> Edits =
        (from kind in Gen.Choose(0, 5) from at in Gen.Choose(0, 5000) from length in Gen.Choose(0, 60) select (kind, at, length)).ArrayOf().Resize(5);

    [Theory]
    [InlineData(Names.Paths.Token, "grant_type=authorization_code&code=ac_x&code_verifier={1}&client_id={0}&redirect_uri=https%3A%2F%2Fa.test%2Fcb&resource=https%3A%2F%2Fa.test%2Fmcp")]
    [InlineData(Names.Paths.Token, "grant_type=refresh_token&refresh_token=rt_x&client_id={0}&scope=tools%3Aread")]
    [InlineData(Names.Paths.Token, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=eyJ.e30.x&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&client_id={0}&authorization_details=%5B%5D")]
    [InlineData(Names.Paths.Token, "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.AA&grant_type=client_credentials")]
    [InlineData(Names.Paths.PushedRequests, "{2}")]
    [InlineData(Names.Paths.DeviceAuthorization, "client_id={0}&scope=tools%3Aread%20tool%3Adelete_file&resource=https%3A%2F%2Fa.test%2Fmcp")]
    [InlineData(Names.Paths.BackchannelAuthentication, "client_id={0}&login_hint=ann%40people.test&binding_message=4711&requested_expiry=60&authorization_details=%5B%5D")]
    [InlineData(Names.Paths.Token, "grant_type=urn%3Aopenid%3Aparams%3Agrant-type%3Aciba&auth_req_id=arq_x&client_id={0}")]
    [InlineData(Names.Paths.Revoke, "token=eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.e30.AA&client_id={0}&token_type_hint=access_token")]
    [Trait("Attack", "64")]
    public async Task Form_Spoiled_IsAnsweredBelow500(string path, string template)
    {
        var s = await server.ScenarioAsync();
        var sound = template.Replace("{0}", s.PublicClient, StringComparison.Ordinal).Replace("{1}", s.Verifier, StringComparison.Ordinal).Replace("{2}", s.AuthorizeQuery(), StringComparison.Ordinal);

        await AnswersAsync(sound, body =>
        {
            var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            content.Headers.ContentType = new MediaTypeHeaderValue("application/x-www-form-urlencoded");
            return new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
        });

        Assert.NotNull((await new PersonFlow(s).TokenAsync()).AccessToken);
    }

    [Fact]
    [Trait("Attack", "64")]
    public async Task AuthorizationRequest_Spoiled_IsAnsweredBelow500AndRedirectedOnlyToWhatIsRegistered()
    {
        var s = await server.ScenarioAsync();

        var answers = await AnswersAsync(s.AuthorizeQuery(), query => new HttpRequestMessage(HttpMethod.Get, "/authorize?" + Uri.EscapeDataString(query)
            .Replace("%26", "&", StringComparison.Ordinal).Replace("%3D", "=", StringComparison.Ordinal).Replace("%25", "%", StringComparison.Ordinal)));

        Assert.All(answers.Where(a => a is not null), a => Assert.True(
            a!.StartsWith("/account/sign-in?", StringComparison.Ordinal) || a.StartsWith(s.RedirectUri + "?", StringComparison.Ordinal)
            || System.Text.RegularExpressions.Regex.IsMatch(a, @"^http://127\.0\.0\.1(:\d+)?/callback\?"), a));
    }

    [Fact]
    [Trait("Attack", "31")]
    public void RedirectUri_Spoiled_MatchesNothingButItselfAndItsPort()
    {
        const string web = "https://client.test/cb?tenant=1", here = "http://127.0.0.1/callback";
        Prop.ForAll(Edits.ToArbitrary(), edits =>
        {
            foreach (var registered in (ReadOnlySpan<string>)[web, here])
            {
                var given = Spoiled.Apply(registered, edits);
                RedirectUri.Refuses(given, isPublic: true);
                Assert.True(!RedirectUri.Matches(registered, given) || given == registered || System.Text.RegularExpressions.Regex.IsMatch(given, @"^http://127\.0\.0\.1:\d{1,5}/callback\z"), given);
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    [Fact]
    public async Task Scope_Spoiled_NeverReachesMoreThanItsWordsName()
    {
        var s = await server.ScenarioAsync();
        var registry = await server.Services.GetRequiredService<RegistryCache>().Current(default);
        var files = registry.ByResource(s.Resource)!;
        Prop.ForAll(Edits.ToArbitrary(), edits =>
        {
            var scope = Spoiled.Apply("tools:read tool:read_file offline_access", edits);
            if (ScopeWords.Asked(scope, files).TryGet(out var words, out _))
                Assert.All(words, word => Assert.True(scope.Split(' ').Contains(word) || word == Names.Scopes.ToolsRead, $"{word} of {scope}"));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    /// <returns>Where each answer led, if anywhere.</returns>
    private async Task<IReadOnlyList<string?>> AnswersAsync(string sound, Func<string, HttpRequestMessage> request)
    {
        using var http = server.Client();
        var (locations, statuses) = (new List<string?>(), new Dictionary<HttpStatusCode, int>());
        foreach (var edits in Edits.Sample(150, 30))
        {
            var body = Spoiled.Apply(sound, edits);
            using var message = request(body);
            using var answer = await http.SendAsync(message);
            Assert.True((int)answer.StatusCode < 500, $"{answer.StatusCode} for {body}");
            statuses[answer.StatusCode] = statuses.GetValueOrDefault(answer.StatusCode) + 1;
            locations.Add(answer.Headers.Location?.OriginalString);
        }
        // Most of it was read, and not turned away for coming too often.
        Assert.True(statuses.GetValueOrDefault(HttpStatusCode.TooManyRequests) < 20, string.Join(", ", statuses));
        return locations;
    }
}
