using System.Globalization;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>Reading only what policies read makes no difference: random tools, arguments and policies, decided lazily and on a request that was built in full.</summary>
public class LazyDecisionProperties
{
    private static readonly string[] Names = ["a", "b", "c", "d e"];

    [Fact]
    public void Decision_OfACallsBytes_IsThatOfTheWholeRequest()
    {
        int allowed = 0, failed = 0;
        // One for all: nothing of a decision is left for the next.
        var lazily = new AuthorizationResponse();
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var world = new World(seed);
            foreach (AuthorizationMode mode in Enum.GetValues<AuthorizationMode>())
            {
                var tools = new ToolCallAuthorizer(world.Policies, world.Model, mode);
                var whole = mode == AuthorizationMode.Strict ? Authorizer.Strict(world.Policies, world.Model.Schema!) : Authorizer.CedarCompatible(world.Policies);
                tools.Authorize(new ToolCall { Principal = Tools.Ann, Tool = "t", Resource = Tools.Server, Session = Tools.Session, Arguments = world.Arguments }, world.Model.Entities, lazily);
                AuthorizationResponse fully = whole.Authorize(world.Request, world.Model.Entities);
                Assert.Equal(Told(fully), Told(lazily));
                if (fully.Decision == Decision.Allow) allowed++;
                if (fully.Errors.Count > 0) failed++;
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
        Assert.True(allowed > 400 && failed > 400, $"{allowed} allowed, {failed} failed: the generator proves little");
    }

    [Fact]
    public void Argument_NobodyReads_ChangesNothing()
    {
        int allowed = 0;
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            World clean = new(seed, spare: true), spoilt = new(seed, spare: true, spoil: true);
            var tools = new ToolCallAuthorizer(clean.Policies, clean.Model);
            AuthorizationResponse[] responses = [new(), new()];
            foreach ((World world, AuthorizationResponse response) in new[] { (clean, responses[0]), (spoilt, responses[1]) })
                tools.Authorize(new ToolCall { Principal = Tools.Ann, Tool = "t", Resource = Tools.Server, Session = Tools.Session, Arguments = world.Arguments }, EntityStore.Empty, response);
            Assert.Equal(Told(responses[0]), Told(responses[1]));
            if (responses[0].Decision == Decision.Allow) allowed++;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
        Assert.True(allowed > 100, $"{allowed} allowed: the generator proves little");
    }

    /// <summary>What a decision read is enough to decide again.</summary>
    [Fact]
    public void Decision_OnTheCopyOfWhatWasRead_IsThatOnTheArguments()
    {
        int allowed = 0, shorter = 0, invalid = 0;
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var world = new World(seed);
            var tools = new ToolCallAuthorizer(world.Policies, world.Model);
            AuthorizationResponse[] responses = [new(), new()];
            byte[] spoilt = seed % 3 == 0 ? Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(world.Arguments).Replace("1", "\"x\"", StringComparison.Ordinal)) : world.Arguments;
            byte[] arguments = IsJson(spoilt) ? spoilt : world.Arguments;
            var copy = new System.Buffers.ArrayBufferWriter<byte>();
            tools.CopyRead("t", arguments, copy);
            foreach ((ReadOnlyMemory<byte> given, AuthorizationResponse response) in new[] { ((ReadOnlyMemory<byte>)arguments, responses[0]), (copy.WrittenMemory, responses[1]) })
                tools.Authorize(new ToolCall { Principal = Tools.Ann, Tool = "t", Resource = Tools.Server, Session = Tools.Session, Arguments = given.Span }, EntityStore.Empty, response);
            Assert.Equal(Told(responses[0]), Told(responses[1]));
            if (responses[0].Decision == Decision.Allow) allowed++;
            if (responses[0].Cause == DenialCause.RequestInvalid) invalid++;
            if (copy.WrittenCount < arguments.Length / 2) shorter++;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
        Assert.True(allowed > 200 && shorter > 400 && invalid > 20, $"{allowed} allowed, {shorter} much shorter, {invalid} invalid: the generator proves little");
    }

    /// <summary>Foresight never hides what a call would be allowed.</summary>
    [Fact]
    public void Call_ThatIsAllowed_WasForeseen()
    {
        int allowed = 0, never = 0;
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var world = new World(seed);
            var tools = new ToolCallAuthorizer(world.Policies, world.Model);
            var response = new AuthorizationResponse();
            var call = new ToolCall { Principal = Tools.Ann, Tool = "t", Resource = Tools.Server, Session = Tools.Session, Arguments = world.Arguments };
            tools.Authorize(call, EntityStore.Empty, response);
            bool foreseen = tools.MayAllow(call, EntityStore.Empty);
            if (response.Decision == Decision.Allow)
            {
                allowed++;
                Assert.True(foreseen);
            }
            if (!foreseen) never++;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
        Assert.True(allowed > 200 && never > 200, $"{allowed} allowed, {never} never: the generator proves little");
    }

    private static bool IsJson(byte[] text)
    {
        try
        {
            JsonDocument.Parse(text).Dispose();
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string Told(AuthorizationResponse response) =>
        $"{response.Outcome()} reasons {string.Join(' ', response.Reasons)} errors {string.Join("; ", response.Errors)}";

    /// <summary>One random tool, a call of it, and policies about it.</summary>
    private sealed class World
    {
        private const string Spare = "d e";

        private static readonly string[] Junk = ["1e999", "\"\\ud800\"", "[{\"a\":1,\"a\":2}]", "null", "{\"d e\":7}"];

        private readonly Random random;
        private readonly bool spare;
        private readonly bool spoil;
        private readonly Dictionary<string, Shape> shape;

        /// <param name="spare">Whether the policies leave alone what is called <see cref="Spare"/>, and everything as a whole.</param>
        /// <param name="spoil">Whether what is called so is junk.</param>
        public World(int seed, bool spare = false, bool spoil = false)
        {
            (this.spare, this.spoil) = (spare, spoil);
            random = new(seed);
            shape = Members(0);
            Model = ToolServerModel.Create([Tools.Tool("t", SchemaOf(shape), ToolSensitivity.Read, "k"), Tools.Tool("u", """{"type":"object","properties":{"a":{"type":"string"}}}""")]).Value;
            Assert.Empty(Model.Notes);
            var json = new StringBuilder();
            CedarRecord input = Fill(shape, json, junk: random.Next(4) == 0);
            Arguments = Encoding.UTF8.GetBytes(json.ToString());
            Request = new(Tools.Ann, new("Mcp::Action", "t"), Tools.Server, new([new("input", Value.Of(input)), new("session", Value.Of(Tools.Session))]));
            Policies = PolicySet.Parse(string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => Policy()))).Value;
        }

        public ToolServerModel Model { get; }

        public byte[] Arguments { get; }

        public Request Request { get; }

        public PolicySet Policies { get; }

        private sealed record Shape(char Kind, bool Required, Dictionary<string, Shape>? Members);

        private Dictionary<string, Shape> Members(int depth)
        {
            var members = new Dictionary<string, Shape>();
            foreach (string name in Names)
            {
                if (random.Next(4) == 0) continue;
                char kind = "ilsbno"[random.Next(depth < 2 ? 6 : 5)];
                members[name] = new(kind, random.Next(3) == 0, kind == 'o' ? Members(depth + 1) : null);
            }
            return members;
        }

        private static string SchemaOf(Dictionary<string, Shape> members) =>
            $$"""{"type":"object","properties":{{{string.Join(',', members.Select(m => $"{JsonSerializer.Serialize(m.Key)}:{SchemaOf(m.Value)}"))}}},"required":[{{string.Join(',', members.Where(m => m.Value.Required).Select(m => JsonSerializer.Serialize(m.Key)))}}]}""";

        private static string SchemaOf(Shape member) => member.Kind switch
        {
            'i' => """{"type":"integer"}""",
            'l' => """{"type":"array","items":{"type":"integer"}}""",
            's' => """{"type":"string"}""",
            'b' => """{"type":"boolean"}""",
            'n' => """{"type":"number"}""",
            _ => SchemaOf(member.Members!),
        };

        private CedarRecord Fill(Dictionary<string, Shape> members, StringBuilder json, bool junk)
        {
            var attributes = new List<KeyValuePair<string, Value>>();
            var parts = new List<string>();
            foreach ((string name, Shape member) in members.OrderBy(_ => random.Next()))
            {
                string key = random.Next(5) == 0 ? $"\"\\u{(int)name[0]:x4}{name[1..]}\"" : JsonSerializer.Serialize(name);
                if (!member.Required && random.Next(3) == 0)
                {
                    if (random.Next(2) == 0) parts.Add($"{key}:null");
                    continue;
                }
                var text = new StringBuilder();
                attributes.Add(new(name, Make(member, text, junk)));
                parts.Add($"{key}:{(spoil && name == Spare ? Junk[text.Length % Junk.Length] : text)}");
            }
            if (junk) parts.Add("\"unknown\":[{\"a\":1e999}]");
            json.Append('{').AppendJoin(',', parts).Append('}');
            return new(attributes);
        }

        private Value Make(Shape member, StringBuilder json, bool junk)
        {
            int small = random.Next(-3, 4);
            switch (member.Kind)
            {
                case 'i':
                    json.Append(Number(small, random.Next(4)));
                    return Value.Of(small);
                case 'n':
                    json.Append(Number(small, random.Next(4)));
                    return Value.OfDecimal(small * 10_000);
                case 's':
                    json.Append(CultureInfo.InvariantCulture, $"\"{"xyz"[small + 3 > 2 ? 2 : small + 3]}\"");
                    return Value.Of($"{"xyz"[small + 3 > 2 ? 2 : small + 3]}");
                case 'b':
                    json.Append(small > 0 ? "true" : "false");
                    return Value.Of(small > 0);
                case 'l':
                    int[] list = [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(4))];
                    json.Append('[').AppendJoin(',', list).Append(']');
                    return Value.Of(new CedarSet([.. list.Select(i => Value.Of(i))]));
                default: return Value.Of(Fill(member.Members!, json, junk));
            }
        }

        private static string Number(int number, int form) => form switch
        {
            0 => $"{number}.0",
            1 when number != 0 => $"{number}0e-1",
            2 => $"{number}e0",
            _ => $"{number}",
        };

        private string Policy()
        {
            string scope = random.Next(6) switch
            {
                0 => """action == Mcp::Action::"t" """,
                1 => """action in Mcp::Action::"class:k" """,
                2 => """action in [Mcp::Action::"sensitivity:read", Mcp::Action::"tools:all"]""",
                3 => """action == Mcp::Action::"u" """,
                _ => "action",
            };
            return $"{(random.Next(3) == 0 ? "forbid" : "permit")}(principal, {scope}, resource) {(random.Next(4) == 0 ? "unless" : "when")} {{ {string.Join(random.Next(2) == 0 ? " && " : " || ", Enumerable.Range(0, random.Next(1, 4)).Select(_ => Condition()))} }};\n";
        }

        /// <summary>About a part that may be there, of a type that it may have: mostly what the schema says, sometimes not.</summary>
        private string Condition()
        {
            string path = "context.input", last = "";
            Dictionary<string, Shape>? members = shape;
            char kind = 'o';
            for (int depth = random.Next(1, 4); depth > 0; depth--)
            {
                string before = path;
                string name = members is { Count: > 0 } && random.Next(8) > 0 ? members.Keys.ElementAt(random.Next(members.Count)) : Names[random.Next(Names.Length)];
                if (spare && name == Spare) name = Names[0];
                last = $"{before} has {JsonSerializer.Serialize(name)}";
                path = $"{before}[{JsonSerializer.Serialize(name)}]";
                Shape? member = members?.GetValueOrDefault(name);
                (members, kind) = (member?.Members, member?.Kind ?? '?');
                if (members is null) break;
            }
            if (random.Next(10) == 0) kind = "ilsbno"[random.Next(6)];
            if (spare) return kind == 'o' || members is not null ? last : $"({last} && {path} != 7)";
            string test = kind switch
            {
                'i' => $"{path} < {random.Next(-3, 4)}",
                'l' => $"{path}.contains({random.Next(4)})",
                's' => $"{path} == \"{"xyz"[random.Next(3)]}\"",
                'b' => path,
                'n' => $"{path}.lessThan(decimal(\"{random.Next(-3, 4)}.0\"))",
                'o' => $"{path} == {path}",
                _ => last,
            };
            return random.Next(30) switch
            {
                0 => $"context == context && {test}",
                1 => $"{path} == {path}",
                < 12 => last,
                < 20 => $"({last} && {test})",
                _ => test,
            };
        }
    }
}
