import { Crowd } from './crowd.ts';
import { serve } from './rpc.ts';

serve(new Crowd());
